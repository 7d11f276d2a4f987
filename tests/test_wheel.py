"""An installed wheel works away from the clone: settings and cards travel in it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The content of a wheel built from this tree."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("not a source tree")
    folder = tmp_path_factory.mktemp("wheel")
    build = "from hatchling.build import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_settings_cards_and_template_are_inside(unpacked):
    inside = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    assert "fewshot/_resources/conf/config.yaml" in inside
    assert "fewshot/_resources/datasets/cards/digits.yaml" in inside
    assert "fewshot/_resources/datasets/confusers/digits.json" in inside
    assert "fewshot/_resources/datasets/published/measured.yaml" in inside
    assert "fewshot/report/page/page.html.j2" in inside
    for folder in ("forecast", "labels"):
        assert {f"fewshot/report/{folder}/page.{kind}" for kind in ("html.j2", "css")} <= inside
    assert "fewshot/report/static/base.html.j2" in inside
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"fewshot/_resources/conf/{path.relative_to(ROOT / 'conf').as_posix()}" in inside
    assert not [name for name in inside if name.startswith(("tests", "docs", "runs", "benchmarks"))]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["list", "backbones", "dino*"], "dinov2_vits14"), (["--cfg", "job"], "kind: digits")],
)
def test_runs_from_the_wheel_alone(unpacked, tmp_path, arguments, expected):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "fewshot", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert expected in done.stdout
    where = "import fewshot, sys; sys.exit(not fewshot.__file__.startswith(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-P", "-c", where, str(unpacked)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        check=True,
    )
