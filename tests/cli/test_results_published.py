"""``fewshot results published``: small runs beside a small file of figures; the page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from fewshot.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "published.md"
GROUP = {"head": "ncm", "backbone": "word", "accuracy": {"blobs": {1: 80.0, 2: 90.0}}}
OWN = {
    "paper": "Someone et al., 2020", "address": "https://example.org", "where": "Table 1",
    "checked": "the paper", "protocol": "balanced", "ways": 5, "sweep": "published_episodes",
    "draws": 20, "queries": 3, "digits": 1, "remarks": "nothing",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two heads, 5-way, one and two shots, on features of a network called "word"."""
    folder = tmp_path_factory.mktemp("published")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    features = rng.normal(size=(6, 8))[labels] + rng.normal(size=(60, 8))
    features = features.astype(np.float32)
    np.savez(folder / "blobs.npz", features=features, labels=labels, backbone="word")
    settings = (
        "dataset=features", f"dataset.path={folder}/blobs.npz", "episodes.count=20", "threads=1",
        f"paths.runs={folder}/runs", "episodes.queries=3", "episodes.shots=[1,2]",
        "head=[ncm,ridge]", "estimator=[constant]",
    )  # fmt: skip
    assert main([*settings]) == 0
    (summary,) = folder.glob("runs/*/summary.json")
    return summary.parent, json.loads(summary.read_text())["cells"]


@pytest.fixture
def own(tmp_path):
    """Write figures of one's own and return their folder."""

    def write(*groups, **changes):
        text = yaml.safe_dump(OWN | {"figures": list(groups)} | changes)
        tmp_path.joinpath("own.yaml").write_text(text)
        return str(tmp_path)

    return write


def rows_of(fewshot, run, folder):
    done = fewshot("results", "published", str(run), "--figures", folder, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def accuracy(cells, head, shots):
    (cell,) = [c for c in cells if (c["head"], c["shots"]) == (head, shots)]
    return 100 * cell["accuracy"]["mean"], 50 * (
        cell["accuracy"]["upper"] - cell["accuracy"]["lower"]
    )


def test_cells_beside_figures(fewshot, run, own):
    folder, cells = run
    mean, half = accuracy(cells, "ncm", 1)
    near, far = round(mean + half / 2, 1), round(mean + 3 * half, 1)
    rows = rows_of(fewshot, folder, own(GROUP | {"accuracy": {"blobs": {1: near, 2: far}}}))
    first, second = rows
    assert first["published"] == f"{near:.1f}"
    assert first["ours"] == f"{mean:.1f} ± {half:.1f}"
    assert first["difference"] == f"{mean - near:+.1f}"
    assert (first["within"], first["differs in"]) == ("yes", "-")
    assert first["command"].startswith("fewshot sweep=published_episodes dataset=features")
    assert second["shots"] == 2
    assert second["within"] == "no"


@pytest.mark.parametrize(
    ("changes", "differs", "within"),
    [
        ({"draws": 600}, "draws 20, published 600", "no"),
        ({"queries": 15}, "queries 3, published 15", "-"),
        ({"prompts": "coop"}, "prompts not known, published coop_blobs", "-"),
    ],
)
def test_near_misses_are_told(fewshot, run, own, changes, differs, within):
    figure = GROUP | {"accuracy": {"blobs": {1: 1.0}}}
    (row,) = rows_of(fewshot, run[0], own(figure, **changes))
    assert (row["differs in"], row["within"]) == (differs, within)


def test_settings_of_the_head_differ(fewshot, run, own):
    figure = GROUP | {"head": "ridge", "settings": {"penalty": 0.5}}
    rows = rows_of(fewshot, run[0], own(figure))
    assert {row["differs in"] for row in rows} == {"settings default, published penalty=0.5"}


@pytest.mark.parametrize(
    "other", [{"backbone": "another"}, {"head": "lda"}, {"accuracy": {"digits": {1: 50.0}}}]
)
def test_what_has_other_keys_is_no_cell_of_the_figure(refusal, run, own, other):
    folder = own(GROUP | other)
    message = refusal("results", "published", str(run[0]), "--figures", folder)
    assert "no cell is of a published figure" in message


@pytest.mark.parametrize("other", [{"ways": 20}, {"protocol": "imbalanced(alpha=2)"}])
def test_other_episodes(refusal, run, own, other):
    folder = own(GROUP, **other)
    assert "no cell" in refusal("results", "published", str(run[0]), "--figures", folder)


def test_entries_for_the_file_of_measurements(fewshot, run, own, tmp_path):
    folder = own(GROUP)
    done = fewshot("results", "published", str(run[0]), "--figures", folder, "--format", "yaml")
    tmp_path.joinpath("measured.yaml").write_text(done.out)
    done = fewshot("results", "published", "--figures", folder, "--format", "markdown")
    assert done.code == 0, done.err
    measured = done.out.partition("## Published")[0]
    mean, half = accuracy(run[1], "ncm", 2)
    assert f"| 90.0 | {mean:.1f} ± {half:.1f} |" in measured
    assert "[measured](#measured)" in done.out


def test_means_say_what_is_missing(fewshot, run, own):
    folder = own(GROUP | {"accuracy": {"mean of eleven": {1: 70.0}}}, GROUP)
    done = fewshot("results", "published", str(run[0]), "--figures", folder)
    assert done.code == 0
    assert "mean of eleven" not in done.out
    assert "not compared" not in done.err  # none of the eleven is there


def test_the_list_of_figures(fewshot, refusal):
    done = fewshot("results", "published", "--source", "gda", "--dataset", "dtd", "--shots", "1,16")
    lines = done.out.splitlines()
    assert len(lines) == 3
    assert "46.26" in lines[1]
    assert "needs" in lines[0]
    assert "no published figure" in refusal("results", "published", "--head", "nothing")


def test_the_page_is_up_to_date(fewshot):
    """Else: python benchmarks/published.py."""
    page = PAGE.read_text(encoding="utf-8").partition("benchmarks/published.py -->")[2]
    done = fewshot("results", "published", "--format", "markdown")
    assert re.sub(r"\s+", " ", page).strip() == re.sub(r"\s+", " ", done.out).strip()
