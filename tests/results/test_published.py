"""The files of published figures: what they may say, what is made of them, and their commands."""

from types import SimpleNamespace

import pytest
import yaml

from fewshot.config.compose import settings_from
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.paths import option_names
from fewshot.results.beside import beside, recorded
from fewshot.results.published import (
    ELEVEN,
    MEAN,
    measurements,
    published_figures,
    unverified,
)
from fewshot.text.template_sets import SETS

SOURCE = {
    "paper": "Someone et al., 2020", "address": "https://example.org", "where": "Table 1",
    "checked": "the paper", "protocol": "all_way", "sweep": "published", "prompts": "coop",
    "draws": 3,
    "figures": [{"head": "gda", "backbone": "clip_rn50", "accuracy": {"dtd": {1: 46.2}}}],
}  # fmt: skip


@pytest.fixture(scope="module")
def figures():
    return published_figures()


@pytest.fixture
def source_file(tmp_path):
    """Write a source with changes and return its folder."""

    def write(**changes):
        tmp_path.joinpath("own.yaml").write_text(yaml.safe_dump(SOURCE | changes))
        return tmp_path

    return write


def test_figures_are_of_what_the_suite_has(figures):
    for figure in figures:
        assert figure.head in heads
        assert figure.dataset == MEAN or figure.dataset in option_names("dataset")
        assert 0 < figure.accuracy < 100
        prompts = figure.conditions.prompts
        assert prompts in (None, "coop") or prompts in SETS
        assert figure.source.address.startswith("https://")
        assert figure.source.checked


def test_no_figure_is_there_twice(figures):
    keys = [(figure.key, figure.conditions.prompts) for figure in figures]
    assert len(keys) == len(set(keys))


def test_every_command_composes(figures):
    """One of each head, backbone, prompts and protocol; data sets change a name alone."""
    alike = {}
    for figure in figures:
        rest = (figure.head, figure.variant, figure.backbone, figure.name, bool(figure.parts))
        alike[(*rest, figure.conditions.prompts if figure.shots == 0 else "")] = figure
    unlike = {
        (f.head, f.variant, f.has_backbone, f.source.sweep, f.conditions.prompts): f
        for f in alike.values()
    }
    for figure in unlike.values():
        settings = settings_from(figure.arguments())
        assert list(settings["head"]) == [figure.head]
        assert settings["episodes"]["shots"] == [figure.shots]
        assert settings["head"][figure.head].items() >= figure.settings.items()


def test_means_of_a_source_with_all_data_sets(figures):
    (mean,) = [f for f in figures if f.key == ("gda", "gda", "preset=paper", MEAN, "clip_rn50", 16)]
    assert len(mean.parts) == len(ELEVEN)
    assert mean.accuracy == pytest.approx(sum(part.accuracy for part in mean.parts) / 11)
    assert mean.command().startswith("fewshot -m sweep=published backbone=clip_rn50")


def test_measurements_are_beside_figures(figures):
    measured = measurements()
    rows = recorded(figures, measured)
    assert {row.figure.key for row in rows} == {one.key for one in measured}
    assert all(row.within is None for row in rows if row.differs)
    assert unverified()


def test_a_figure_says_what_it_needs(source_file):
    (figure,) = published_figures(source_file())
    assert figure.needs == "images of dtd, weights"
    assert figure.command() == (
        "fewshot sweep=published dataset=dtd backbone=clip_rn50 'head=[gda]' 'episodes.shots=[1]'"
    )
    group = SOURCE["figures"][0] | {"backbone": "their_wrn", "settings": {"preset": "paper"}}
    (figure,) = published_figures(source_file(figures=[group]))
    assert figure.needs == "features of dtd by that network"
    assert "dataset.path=dtd_their_wrn.npz" in figure.arguments([1, 5])
    assert "episodes.shots=[1,5]" in figure.arguments([1, 5])
    assert figure.variant == "preset=paper"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, r"own\.yaml: colour: "),
        ({"draws": "three"}, r"own\.yaml: draws: "),
        ({"figures": [{"head": "gda"}]}, r"own\.yaml: figures\.0\.backbone: "),
    ],
)
def test_a_file_that_says_something_else(source_file, changes, message):
    with pytest.raises(FewshotError, match=message):
        published_figures(source_file(**changes))


def test_a_folder_without_files(tmp_path):
    with pytest.raises(FewshotError, match="expected a folder of YAML files"):
        published_figures(tmp_path)
    tmp_path.joinpath("own.yaml").write_text("a: [")
    with pytest.raises(FewshotError, match=r"own\.yaml is no YAML"):
        published_figures(tmp_path)


def cell(dataset, mean):
    """A cell of two draws, as far as a comparison looks at it."""
    interval = {"mean": mean, "lower": mean - 0.11, "upper": mean + 0.11, "level": 0.95}
    return {
        "task": "classification", "dataset": dataset, "part": "novel", "backbone": "clip_rn50",
        "feature": "projection", "head": "gda", "variant": "", "ways": 47, "shots": 1, "seed": 0,
        "protocol": "all_way", "episodes": 3, "queries": "all", "run": 0, "accuracy": interval,
        "accuracy_intervals": {"episodes": interval},
    }  # fmt: skip


def store_of(*cells):
    templates = {"name": "coop_imagenet@1"}
    made = {
        "name": "run",
        "created": "2026-01-02T03:04",
        "data": {"text": {"templates": templates}},
    }
    return SimpleNamespace(summary=lambda: {"cells": list(cells), "made": [made]})


def test_a_mean_of_cells_of_all_data_sets(source_file):
    group = {"head": "gda", "backbone": "clip_rn50", "accuracy": {MEAN: {1: 60.0}}}
    figures = published_figures(source_file(figures=[group]))
    cells = [cell(name, 0.5 + i / 100) for i, name in enumerate(ELEVEN)]
    rows, missing = beside(figures, store_of(*cells[1:]))
    assert rows == []
    assert missing == ["mean of eleven of gda on clip_rn50, 1 shot (own): 10 of 11 data sets"]
    (row,), missing = beside(figures, store_of(*cells))
    assert missing == []
    assert row.accuracy == pytest.approx(55)
    assert row.half == pytest.approx(11 / 11**0.5)  # of independent draws
    assert row.difference == pytest.approx(-5)
    assert "imagenet: prompts" not in " ".join(row.differs)
    assert "dtd: prompts coop_imagenet, published coop_dtd" in row.differs
    assert row.within is None
