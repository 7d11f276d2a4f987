"""Taxonomic lineages in the class names of iNaturalist 2021."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from fewshot.exceptions import expect_choice

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
# A number, six ranks of one word each, and the epithet of the species, of one or more.
PATTERN = re.compile(r"\d+_" + r"([A-Z][^_\s]*)_" * 6 + r"(\S+)")


@dataclass(frozen=True)
class Lineage:
    """Taxonomic ranks of a species, from kingdom to species.

    Attributes
    ----------
    kingdom, phylum, class_, order, family, genus : str
    species : str
        Genus and epithet, since an epithet alone names no species.
    """

    kingdom: str
    phylum: str
    class_: str
    order: str
    family: str
    genus: str
    species: str

    def down_to(self, rank: str) -> tuple[str, ...]:
        """The names from the kingdom to `rank`; two species share a rank if these are equal.

        Examples
        --------
        >>> from fewshot.datasets.taxonomy import taxonomy_of
        >>> worm = "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"
        >>> taxonomy_of([worm])[0].down_to("phylum")
        ('Animalia', 'Annelida')
        """
        expect_choice("rank", rank, RANKS)
        return astuple(self)[: RANKS.index(rank) + 1]


def taxonomy_of(classnames: Sequence[str]) -> tuple[Lineage, ...] | None:
    """The lineage of every class, or None when any name is not of iNaturalist 2021's form.

    That form is ``<number>_<kingdom>_<phylum>_<class>_<order>_<family>_<genus>_<epithet>``
    (Van Horn et al., "Benchmarking Representation Learning for Natural World Image Collections",
    CVPR 2021).
    """
    matches = [PATTERN.fullmatch(name) for name in classnames]
    lineages = tuple(_lineage(match) for match in matches if match)
    return lineages if lineages and len(lineages) == len(matches) else None


def _lineage(match: re.Match[str]) -> Lineage:
    kingdom, phylum, class_, order, family, genus, epithet = match.groups()
    species = f"{genus} {epithet.replace('_', ' ')}"
    return Lineage(kingdom, phylum, class_, order, family, genus, species)
