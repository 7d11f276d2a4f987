"""The lowest versions that pyproject.toml allows: install them and see that everything is there.

    python tests/lowest.py [--folder DIR] [--tests tests/backbones tests/heads ...]

Makes a virtual environment with every direct dependency at its floor (a CUDA build of torch on
Linux: several gigabytes), then imports the package, lists, describes every backbone by its card,
runs the default evaluation, and runs the tests that are named. On demand, not with the others.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOOR = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w, -]+)\])?\s*>=\s*(?P<version>[\w.]+)")
DESCRIBE = """
from pathlib import Path
from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.paths import options
cards = [name for name, settings in options("backbone").items() if "dim" in settings]
for name in cards:
    load_backbone(name, Folders(Path("weights")))
print(len(cards), "backbones are known to the libraries")
"""


def floors(requirements: list[str]) -> list[str]:
    """Requirements at their lowest versions; those without a floor are left as they are.

    Examples
    --------
    >>> floors(["torch>=2.3", "hydra-core>=1.3.2,<2", "pandas-stubs"])
    ['torch==2.3', 'hydra-core==1.3.2', 'pandas-stubs']
    """
    matches = [(text, FLOOR.match(text)) for text in requirements]
    return [f"{m['name']}=={m['version']}" if m else text for text, m in matches]


def direct(extras: tuple[str, ...] = ()) -> list[str]:
    """The project's direct dependencies with those of some extras, extras of extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = list(project["dependencies"])
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            inner = re.match(rf"{project['name']}\[([\w, -]+)\]", text)
            names = tuple(re.split(r"[,\s]+", inner[1])) if inner else ()
            listed += direct(names)[len(project["dependencies"]) :] if inner else [text]
    return listed


def run(*command: object, **settings: object) -> None:
    """Run a command below the clone, and stop with its exit status if it fails."""
    print("$", *command, flush=True)
    finished = subprocess.run([str(part) for part in command], cwd=ROOT, check=False, **settings)  # type: ignore[call-overload]
    if finished.returncode:
        sys.exit(finished.returncode)


def main() -> None:
    """Install, then check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.mkdtemp(prefix="lowest-")))
    parser.add_argument("--tests", nargs="*", default=[])
    options = parser.parse_args()
    python = options.folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.is_file():
        venv.create(options.folder, with_pip=True)
    wanted = floors(direct(("test",) if options.tests else ()))
    run(python, "-m", "pip", "install", "--quiet", *wanted)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", ".")
    with tempfile.TemporaryDirectory() as scratch:
        places = {f"FEWSHOT_{name}": f"{scratch}/{name}" for name in ("CACHE", "WEIGHTS")}
        environment = {**os.environ, **places}
        run(python, "-c", DESCRIBE, env=environment)
        for kind in ("backbones", "datasets", "heads", "estimators"):
            run(python, "-m", "fewshot", "list", kind, env=environment, stdout=subprocess.DEVNULL)
        run(python, "-m", "fewshot", "episodes.count=20", f"paths.runs={scratch}", env=environment)
        if options.tests:
            run(python, "-m", "pytest", *options.tests, env=environment)
    print(f"All of it works with the lowest versions, in {options.folder}.")


if __name__ == "__main__":
    main()
