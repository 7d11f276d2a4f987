"""The model card: what it says, and that names of users stay text."""

import re
from dataclasses import replace

import pytest

import fewshot
from fewshot.models.card import model_card
from fewshot.models.header import ErrorNote, Header
from fewshot.units import rough_percent


def header(**changes):
    plain = Header("classification", ("a", "b"), {"a": 2, "b": 3},
                   {"name": "ncm", "parameters": {}}, None, "l2", None)  # fmt: skip
    return replace(plain, **changes)


def test_what_a_card_says(on_images):
    on_images.save("m.fewshot")
    card = fewshot.load("m.fewshot").card
    assert card == on_images.card
    error = on_images.header_.error
    for text in (
        "# coloured\n",
        "Tells 3 classes of images apart (classification), by the head `ncm` on features of "
        "`callable:tiny_net:network`, fitted on 12 labelled images.",
        "| class\\_1 | 4 |",
        f"**{rough_percent(error.error)}**",
        "(90 % interval: ",
        "images of 16 pixels",
        "- Precision of its features: ",
        "- Weights: those of the network's own code, SHA-256 `",
        "Licence of the weights: not known here",
        "## Not for",
        "fewshot classify model.fewshot images/",
        f"fewshot {fewshot.__version__}, python ",
    ):
        assert text in card
    assert all(f"- {warning}" in card.replace("\\", "") for warning in error.warnings)


def test_names_of_users_are_escaped():
    names = ("<script>alert(1)</script>", "a|b\n# no heading")
    images, head = dict.fromkeys(names, 1), {"name": "`x`", "parameters": {}}
    error = ErrorNote(0.1, 0.0, 0.2, 0.9, "datasets", "see [this](http://x)", ("*bold*",))
    card = model_card(header(classes=names, images=images, name="*`x`*\x1b[31m", head=head,
                             error=error))  # fmt: skip
    assert "\\<script>" in card and "| a\\|b\ufffd# no heading | 1 |" in card
    assert not re.search(r"(?<!\\)<script", card) and "\x1b" not in card
    assert card.startswith("# \\*\\`x\\`\\*\ufffd\\[31m\n")
    assert "- see \\[this](http://x)" in card and "- \\*bold\\*" in card
    headings = [line for line in card.splitlines() if line.startswith("#")]
    assert [line.split()[0] for line in headings[1:]] == ["##"] * (len(headings) - 1)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "It was not predicted."),
        (ErrorNote(0.123, 0.05, 0.2, 0.95, "base"), "**12 %** (95 % interval: 5.0 % to 20 %)"),
        (ErrorNote(0.02, 0.0, 0.2, 0.9, "base"), "calibrated on other labelled classes"),
        (ErrorNote(0.7, 0.6, 0.8, 0.9, "", measure="mean IoU"), "Predicted mean IoU: **70 %**"),
    ],
)
def test_the_error_of_a_card(error, text):
    assert text in model_card(header(error=error))


def test_a_card_of_features(fitted):
    card = fitted.card
    assert "Tells 3 classes of feature vectors apart" in card
    assert "| a\\|b | 5 |" in card and "fewshot classify" not in card
    assert (
        "The file has numbers computed from features of the labelled images, and no image." in card
    )


def test_shots_in_the_file_are_said(make_bank_of):
    card = fewshot.fit(make_bank_of(), head="knn").card
    assert "The file has the features of the labelled images, and no image." in card
