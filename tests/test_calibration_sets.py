"""The script that builds the calibrator's images from packages' files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "benchmarks/calibration_sets.py"


def build(packages, output, *options):
    return subprocess.run(
        [sys.executable, SCRIPT, packages, output, "--only", "game_art", *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def packages(tmp_path):
    """Sprites of nine kinds as the game's package keeps them; the ninth has too few."""
    images = "wesnoth-1.16-data/usr/share/games/wesnoth/1.16/data/core/images"
    rng = np.random.default_rng(0)
    for kind in range(9):
        folder = tmp_path / "packages" / images / f"units/kind{kind}"
        folder.mkdir(parents=True)
        for i in range(45 if kind < 8 else 18):
            pixels = rng.integers(0, 256, size=(12, 12, 4), dtype=np.uint8)
            pixels[0, 0] = (0, 0, 0, 0)
            Image.fromarray(pixels).save(folder / f"unit-attack-{i}.png")
        Image.new("RGBA", (12, 12)).save(folder / "unit-empty.png")
    return tmp_path / "packages"


def test_classes_and_images_within_limits_the_same_for_a_seed(packages, tmp_path):
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    runs = [build(packages, first), build(packages, again), build(packages, other, "--seed", "1")]
    assert [run.returncode for run in runs] == [0, 0, 0], runs[0].stderr
    files = [
        sorted(p.relative_to(root) for p in root.rglob("*.png")) for root in (first, again, other)
    ]
    assert files[0] == files[1] != files[2]
    race = [path for path in files[0] if path.parts[:2] == ("game_art", "wesnoth_race")]
    assert {path.parts[2] for path in race} == {f"kind{kind}" for kind in range(8)}
    assert len(race) == 8 * 40  # at most 40 of a class
    assert not any("empty" in path.name for path in race)  # no blank frame
    image = Image.open(first / race[0])
    assert image.mode == "RGB" and image.getpixel((0, 0)) == (255, 255, 255)  # white behind
    sources = (first / "game_art/sources.tsv").read_text().splitlines()
    assert sources == ["package\tlicence", "wesnoth-1.16-data\tGPL-2+"]


def test_what_is_missing_is_said_and_left_out(packages, tmp_path):
    run = build(packages, tmp_path / "sets")
    assert run.returncode == 0
    assert "game_art/wesnoth_terrain: left out, there are no package" in run.stderr
    run = build(tmp_path / "nothing", tmp_path / "none")
    assert run.returncode == 0
    assert "package wesnoth-1.16-data is missing" in run.stderr
    assert not list((tmp_path / "none").rglob("*.png"))
