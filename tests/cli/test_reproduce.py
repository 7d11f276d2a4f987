"""``fewshot reproduce``: the same rows, other rows, and what cannot be repeated."""

import json

import pandas as pd
import pytest
import yaml


@pytest.fixture
def run(fewshot, feature_settings):
    """A finished run of two heads and two numbers of shots."""
    done = fewshot(*feature_settings, "head=[ncm,lda]", "episodes.shots=[1,3]", "episodes.ways=3")
    assert done.code == 0, done.err
    (folder,) = {path.parent for path in done.runs if path.name == "summary.json"}
    return folder


def test_a_run_has_the_same_rows_again_and_nothing_is_written(fewshot, run):
    before = {path: path.stat().st_mtime_ns for path in run.parent.rglob("*")}
    done = fewshot("reproduce", str(run))
    assert done.code == 0, done.err
    assert "4 of 4 cells have the same rows, to the last bit." in done.out
    assert {path: path.stat().st_mtime_ns for path in run.parent.rglob("*")} == before


def test_a_number_that_was_changed_is_found(fewshot, run):
    rows = pd.read_parquet(run / "episodes.parquet")
    rows.loc[0, "query_error"] += 2**-30
    rows.to_parquet(run / "episodes.parquet")
    done = fewshot("reproduce", str(run), "--json")
    (facts,) = json.loads(done.out)
    assert done.code == 3
    assert [cell["same"] for cell in facts["cells"]].count(False) == 1
    (changed,) = [cell for cell in facts["cells"] if not cell["same"]]
    assert changed["same_episodes"]
    assert 2**-31 < changed["largest_difference"]["episodes"] < 2**-29


def test_other_settings_are_other_episodes(fewshot, run):
    done = fewshot("reproduce", str(run), "seed=1")
    assert done.code == 3
    assert "0 of 4 cells have the same rows" in done.out
    assert "not computed again" in done.out  # the seed identifies a cell
    done = fewshot("reproduce", str(run), "episodes.queries=2")
    assert done.code == 3
    assert "ncm, 3-way 1-shot, seed 0: other episodes" in done.out


def test_settings_that_are_newer_than_a_run_have_their_defaults(fewshot, run):
    path = run / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    del settings["features"]["compile"], settings["open_set"], settings["episodes"]["strangers"]
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    done = fewshot("reproduce", str(run))
    assert done.code == 0, done.out


def test_what_cannot_be_repeated_is_said_in_a_line(refusal, run, tmp_path):
    assert "no such name" in refusal("reproduce", str(run), "episodes.wyas=3")
    assert "SETTING=VALUE" in refusal("reproduce", str(run), "episodes.ways")
    (tmp_path / "empty").mkdir()
    assert "no run under" in refusal("reproduce", str(tmp_path / "empty"))
    (run / "config.yaml").write_text("- a list")
    assert "no configuration" in refusal("reproduce", str(run))
    (run / "config.yaml").unlink()
    assert "from Python" in refusal("reproduce", str(run))
