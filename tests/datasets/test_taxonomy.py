"""The lineage in class names of iNaturalist 2021."""

import pytest

from fewshot.datasets.taxonomy import RANKS, Lineage, taxonomy_of
from fewshot.exceptions import FewshotError

WORM = "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"
CROW = "04000_Animalia_Chordata_Aves_Passeriformes_Corvidae_Corvus_brachyrhynchos"
RAVEN = "04001_Animalia_Chordata_Aves_Passeriformes_Corvidae_Corvus_corax"
CACTUS = "06253_Plantae_Tracheophyta_Magnoliopsida_Caryophyllales_Cactaceae_Opuntia_ficus-indica"


def test_the_ranks_of_a_species():
    (worm,) = taxonomy_of([WORM])
    assert worm == Lineage(
        "Animalia", "Annelida", "Clitellata", "Haplotaxida", "Lumbricidae", "Lumbricus",
        "Lumbricus terrestris",
    )  # fmt: skip
    assert taxonomy_of([CACTUS])[0].species == "Opuntia ficus-indica"
    assert taxonomy_of([WORM + "_minor"])[0].species == "Lumbricus terrestris minor"


def test_what_two_species_have_in_common():
    worm, crow, raven = taxonomy_of([WORM, CROW, RAVEN])
    shared = [rank for rank in RANKS if crow.down_to(rank) == raven.down_to(rank)]
    assert shared == ["kingdom", "phylum", "class", "order", "family", "genus"]
    assert [rank for rank in RANKS if worm.down_to(rank) == crow.down_to(rank)] == ["kingdom"]
    with pytest.raises(FewshotError, match=r"rank: expected one of .*Did you mean 'genus'"):
        worm.down_to("genius")


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["cat", "dog"],
        [WORM, "cat"],
        [WORM.removeprefix("00000_")],
        [WORM.removesuffix("_terrestris")],
        [WORM.replace("Annelida", "")],
        ["001.Black_footed_Albatross"],
        ["00000_a_b_c_d_e_f_g"],
    ],
)
def test_names_that_are_not_such(names):
    assert taxonomy_of(names) is None
