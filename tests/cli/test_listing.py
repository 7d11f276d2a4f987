"""``fewshot list``."""

import json
import re
import subprocess
import sys

import pytest

from fewshot.cli.listing import main
from fewshot.exceptions import UnknownNameError
from fewshot.paths import options


def printed(capsys, *argv):
    assert main(argv) == 0
    return capsys.readouterr().out


def test_a_table_of_backbones(capsys):
    lines = printed(capsys, "backbones", "*dinov2_vits*").splitlines()
    assert lines == [
        "dinov2_vits14      384-d  22M  DINOv2 ViT-S/14, class token",
        "dinov2_vits14_reg  384-d  22M  DINOv2 ViT-S/14 with registers, class token",
    ]


def test_all_names_are_there_in_order(capsys):
    for kind, group in (("backbones", "backbone"), ("datasets", "dataset")):
        lines = printed(capsys, kind).splitlines()
        assert [line.split()[0] for line in lines] == sorted(options(group))
    assert [line.split()[0] for line in printed(capsys, "heads", "n*").splitlines()] == ["ncm"]


def test_samplers_say_what_they_draw(capsys):
    lines = printed(capsys, "episodes").splitlines()
    assert [line.split()[0] for line in lines] == sorted(options("episodes"))
    assert any(re.match("effective +Shots of many classes, and queries of few", x) for x in lines)
    facts = printed(capsys, "episodes", "effective", "--long").splitlines()[1:]
    assert ["k_eff", "5"] in [fact.split() for fact in facts]


def test_the_whole_card(capsys, monkeypatch, workplace):
    monkeypatch.setenv("FEWSHOT_WEIGHTS", str(workplace))
    monkeypatch.setenv("HF_HUB_CACHE", str(workplace))
    text = printed(capsys, "backbones", "mae_vitb16", "--long")
    facts = dict(line.split(maxsplit=1) for line in text.splitlines()[1:])
    assert text.splitlines()[0] == "mae_vitb16"
    assert facts["licence"] == "CC-BY-NC-4.0"
    assert facts["citation"].startswith("He, Chen, Xie, Li, Dollár and Girshick, Masked Autoenc")
    assert (facts["resolution"], facts["feature"]) == ("224", "mean")
    assert facts["source"] == "https://huggingface.co/timm/vit_base_patch16_224.mae"
    path = workplace / "vit_base_patch16_224.mae.safetensors"
    assert (facts["weights_found"], facts["weights_looked_for"]) == ("no", str(path))
    path.write_bytes(b"")
    assert f"weights_found       {path}\n" in printed(capsys, "backbones", "mae_vitb16", "--long")
    assert "\n\nmae_vitl16\n" in printed(capsys, "backbones", "mae_vit*", "--long")


def test_cards_of_data_sets(capsys):
    line = printed(capsys, "datasets", "digits")
    assert line.startswith("digits  1797 images  10 classes  scikit-learn's")
    text = printed(capsys, "datasets", "digits", "--long")
    for words in ("CC BY 4.0", "Alpaydin and Kaynak, Optical", "sklearn.datasets.load_digits"):
        assert words in text
    assert len(text.splitlines()) < 25
    text = printed(capsys, "datasets", "folder", "--long")
    assert "your own images" in text
    assert "classes: 4" not in text  # the letters of "auto"


def test_cards_as_json(capsys):
    for kind, group in (("backbones", "backbone"), ("datasets", "dataset")):
        table = json.loads(printed(capsys, kind, "--json"))
        assert sorted(table) == sorted(options(group))
    backbone = json.loads(printed(capsys, "backbones", "dinov3_vits16", "--json"))["dinov3_vits16"]
    assert (backbone["dim"], backbone["kind"], backbone["weights_found"]) == (384, "timm", False)
    assert len(backbone["weights_looked_for"]) > 1
    assert "summary" in json.loads(printed(capsys, "estimators", "--json"))["auto"]


@pytest.mark.parametrize("flag", ["--long", "--json"])
def test_no_network_library_is_imported(flag):
    code = (
        "import sys\n"
        "from fewshot.cli.listing import main\n"
        f"main(['backbones', '{flag}']), main(['datasets', '{flag}'])\n"
        "print([m for m in ('torch', 'timm', 'torchvision', 'open_clip') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_names_that_are_not_there():
    with pytest.raises(UnknownNameError, match=r"list: .* got 'backbone'\. Did you mean 'backb"):
        main(["backbone"])
    with pytest.raises(UnknownNameError, match=r"backbones: .* got 'dinov4'"):
        main(["backbones", "dinov4"])
