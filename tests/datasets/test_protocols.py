"""CoOp's lists where they are there, and what is said where they are not."""

import json

import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.protocols import of_protocol
from fewshot.exceptions import FewshotError
from fewshot.paths import Places, card, option, options
from fewshot.text.template_sets import SETS, template_set

ELEVEN = [name for name, settings in options("dataset").items() if "protocol" in settings]


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "cache", tmp_path / "weights", tmp_path / "data")


def test_the_sweep_goes_through_coops_data_sets():
    sweep = options("sweep")["clip_protocol"]
    assert sweep["dataset"] == {"protocol": "coop"} and sweep["text"] == {"templates": "coop"}
    assert set(sweep["hydra"]["sweeper"]["params"]["dataset"].split(",")) == set(ELEVEN)
    for name in ELEVEN:
        assert set(card(name)["coop"]) >= {"split_file"}
        assert len(template_set("coop", name).templates) == 1
        assert template_set("clip", name).name == f"openai_{name}@1"
    assert {name.removeprefix("coop_") for name in SETS if name.startswith("coop_")} == set(ELEVEN)


@pytest.mark.parametrize("beside", ["", "eurosat", "eurosat/2750"])
def test_a_list_that_is_there_counts(places, beside):
    """Images, split and names are the list's, wherever in the data set's folder it lies."""
    root = places.data / "eurosat"
    rows = [
        ("AnnualCrop/1.jpg", 0, "Annual Crop Land"), ("AnnualCrop/2.jpg", 0, "Annual Crop Land"),
        ("SeaLake/1.jpg", 1, "Sea or Lake"), ("SeaLake/2.jpg", 1, "Sea or Lake"),
    ]  # fmt: skip
    for path, *_ in rows:
        file = root / "eurosat/2750" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file)
    lists = {"train": rows[::2], "val": [], "test": rows[1::2]}
    (root / beside / "split_zhou_EuroSAT.json").write_text(json.dumps(lists))
    data = load_dataset({**option("dataset", "eurosat"), "protocol": "coop"}, places)
    assert data.classnames == ("Annual Crop Land", "Sea or Lake")
    assert data.subset.tolist() == ["train", "test"] * 2
    assert data.naming == {"from": "data", "protocol": "coop"}
    assert data.name == "eurosat"


def test_what_is_not_coops_is_said(places, tmp_path):
    settings = {**option("dataset", "dtd"), "protocol": "coop"}
    kept, note = of_protocol(settings, card("dtd"), places.data)
    assert settings == {**kept, "protocol": "coop"}
    assert "split_zhou_DescribableTextures.json is not in" in note
    for name in ("imagenet", "fgvc_aircraft"):
        kept, note = of_protocol({**option("dataset", name), "protocol": "coop"}, card(name), None)
        assert kept["kind"] == "torchvision" and note is None
    digits = load_dataset({**option("dataset", "digits"), "protocol": "coop"})
    assert "CoOp has no such data set" in digits.naming["not_of_protocol"]
    assert digits.naming["from"] == "card"
    with pytest.raises(FewshotError, match=r"dataset.protocol: expected .*'coop'"):
        load_dataset({**option("dataset", "digits"), "protocol": "coco"})
    assert of_protocol(option("dataset", "dtd"), card("dtd"), None)[1] is None
