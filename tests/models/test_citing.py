"""What is cited for a model: its network, its head and what it says of images."""

from fewshot.cli.main import main
from fewshot.models.card import model_card
from fewshot.models.citing import citation_of
from fewshot.models.header import BackboneNote, Header, WeightsNote


def header(head="lda", **settings):
    weights = WeightsNote("0" * 64, "file.pth")
    note = BackboneNote("efficientnet_lite0", settings, "pooled", {}, {}, "float32", 9, weights)
    return Header("classification", ("a", "b"), {"a": 2, "b": 3}, {"name": head, "parameters": {}},
                  note, "l2", None, {"probabilities": {"temperature": 1.0, "shrinkage": 0.1}},
                  {"fewshot": "0.2.0"})  # fmt: skip


def test_network_head_and_probabilities_are_cited():
    citation = citation_of(header(references=["tan2019efficientnet"]))
    keys = [entry.key for entry in citation.references]
    assert keys[:3] == ["fewshot", "tan2019efficientnet", "fisher1936use"]
    assert {"guo2017calibration", "mitchell2019model"} <= set(keys)
    assert "lda on efficientnet_lite0, 2 classes, 5 labelled images" in citation.text
    assert citation.without == []


def test_what_names_no_papers_is_said():
    without = citation_of(header("theirs")).without
    assert [(part.role, part.name) for part in without] == [
        ("backbone", "efficientnet_lite0"),
        ("head", "theirs"),
    ]


def test_the_card_has_the_papers_of_the_network():
    assert "- Paper: Tan and Le, EfficientNet" in model_card(
        header(references=["tan2019efficientnet"])
    )


def test_on_the_command_line(on_images, capsys):
    on_images.save("m.fewshot")
    assert main(["cite", "m.fewshot", "--format", "bibtex"]) == 0
    assert "@inproceedings{guo2017calibration," in capsys.readouterr().out
