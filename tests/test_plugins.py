"""Packages of others: the example, installed for real; entry points that fail; module:attribute."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from fewshot.backbones import kinds as backbones
from fewshot.cli.main import main
from fewshot.datasets import kinds as datasets
from fewshot.estimators import estimators
from fewshot.heads import heads
from fewshot.loggers import loggers

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "plugin"
FILE = ["dataset=features", "dataset.path=f.npz", "threads=1", "episodes.ways=3",
        "episodes.shots=2", "episodes.count=8"]  # fmt: skip
MINE = '''\
"""Heads of mine."""

from fewshot.heads import NCM as Base
from fewshot.heads import LDA, Head


class MyHead(Base):
    """Nearest class mean of mine.

    Parameters
    ----------
    alpha : float > 0
        Not used for anything.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if alpha <= 0:
            raise ValueError("alpha has to be positive")
        self.alpha = alpha


class NCM(MyHead):
    """Of the name of another."""


def shrunk(shrinkage=0.5):
    """LDA with another default."""
    return LDA(shrinkage=shrinkage)


def nothing():
    """It makes no head."""


number = 3
'''


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A folder into which pip has installed the example."""
    if not EXAMPLE.is_dir():
        pytest.skip("not a source tree")
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")  # builds leave files behind
    site = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--target", str(site),
         str(folder / "source")],
        check=True,
    )  # fmt: skip
    return site


@pytest.fixture
def installed_fewshot(tmp_path, installed, forks):
    """Function that runs the command line in a process of its own, with the example."""

    def run(*arguments):
        environment = {"FEWSHOT_CACHE": str(tmp_path / "cache")}
        done = forks(*arguments, folder=tmp_path, path=[str(installed)], environment=environment)
        assert done.code == 0, done.stderr
        return done

    return run


REGISTRIES = (heads, estimators, loggers, backbones, datasets)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages, which is empty; `add_package` fills it."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path, str(tmp_path)])
    before = set(sys.modules)
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_rivals", {})
        monkeypatch.setattr(registry, "_searched", False)

    def points():
        groups = {}
        for distribution in metadata.distributions(path=[str(folder)]):
            for point in distribution.entry_points:
                groups.setdefault(point.group, []).append(point)
        return groups

    monkeypatch.setattr("fewshot.registry.entry_points", points)
    yield folder
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def fewshot(site, capsys):
    """Function that runs the command line in this process."""

    def run(*arguments, code=0):
        importlib.invalidate_caches()
        capsys.readouterr()
        done = main(list(arguments))
        printed = capsys.readouterr()
        assert done == code, printed.err
        if code == 2:
            (line,) = [line for line in printed.err.splitlines() if "error" in line]
            assert line.startswith("fewshot: error: ")
        return SimpleNamespace(stdout=printed.out, stderr=printed.err)

    return run


def add_package(site, name, group, points, code=""):
    """What pip leaves behind of a package of one module."""
    information = site / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
    (site / f"{name}.py").write_text(code)


def test_the_example_runs(installed_fewshot):
    run = ["dataset=stripes", "backbone=colour_grid", "head=[ncm,geometric_median]",
           "estimator=[resubstitution,loo]", "logger=json_lines", "dataset.images=12",
           "backbone.cells=2", "head.geometric_median.steps=5", "episodes.ways=3",
           "episodes.shots=2", "episodes.count=8", "threads=1"]  # fmt: skip
    done = installed_fewshot(*run)
    assert "stripes · colour_grid" in done.stdout
    assert "geometric_median" in done.stdout and "resubstitution" in done.stdout
    names = {json.loads(line)["name"] for line in Path("metrics.jsonl").read_text().splitlines()}
    assert any("geometric_median" in name for name in names)
    again = installed_fewshot(*run)
    assert "2 cells taken from earlier runs, 0 computed" in again.stdout
    other = installed_fewshot(*run, "head.geometric_median.steps=6")
    assert "1 computed" in other.stdout


def test_its_settings_have_defaults_and_comments(installed_fewshot):
    shown = installed_fewshot("--cfg", "job", "head=geometric_median", "dataset=stripes",
                    "backbone=colour_grid", "logger=json_lines").stdout  # fmt: skip
    assert (
        "  geometric_median:\n    # integer >= 1. Number of iterations.\n    steps: 20\n" in shown
    )
    assert "  # integer. Images of each class.\n  images: 20\n" in shown
    assert "  crop_pct: 1.0\n" in shown
    assert "    file: metrics.jsonl\n" in shown


def test_it_is_listed_with_its_package(installed_fewshot):
    for kind, name in (
        ("heads", "geometric_median"), ("estimators", "resubstitution"), ("tasks", "margin"),
        ("backbones", "colour_grid"), ("datasets", "stripes"), ("loggers", "json_lines"),
    ):  # fmt: skip
        done = installed_fewshot("list", kind)
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"{name} ")]
        assert line.endswith("[fewshot-example]")
        assert done.stderr == ""


def test_its_task_and_a_sweep(installed_fewshot, feature_file):
    done = installed_fewshot("task=margin", "head=[ncm,geometric_median]", *FILE)
    assert "margin" in done.stdout
    done = installed_fewshot("-m", "head=ncm,geometric_median", "estimator=resubstitution", *FILE)
    assert "geometric_median" in done.stdout


def test_from_python(installed, tmp_path, feature_file, forks):
    code = (
        "import fewshot, numpy as np\n"
        "f = np.load('f.npz')\n"
        "from fewshot_example.head import GeometricMedian\n"
        "module = 'fewshot_example.head:GeometricMedian'\n"
        "for head in ('geometric_median', GeometricMedian(), module):\n"
        "    r = fewshot.evaluate(f['features'], f['labels'], head=head, ways=3,"
        " shots=2, episodes=5, estimators=['resubstitution'])\n"
        "    print(r.summary['head'])\n"
    )
    done = forks(code=code, folder=tmp_path, path=[str(installed)])
    assert done.code == 0, done.stderr
    assert done.stdout.split() == ["geometric_median"] * 3


def test_nothing_of_it_is_imported_unless_it_is_asked_for(installed, tmp_path):
    code = (
        "import sys\n"
        "from fewshot.cli.main import main\n"
        "main(['--cfg', 'job']), main(['--cfg', 'job', 'head=geometric_median'])\n"
        "main(['head=geometric_medien'])\n"
        "print([m for m in sys.modules if m.startswith(('fewshot_example', 'torch'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Did you mean 'geometric_median'?" in done.stderr


def test_its_own_tests_pass(installed, tmp_path, forks):
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    code = (
        "import sys, pytest\nsys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-x', 'tests']))"
    )
    done = forks(code=code, folder=tmp_path, path=[str(installed)])
    assert done.code == 0, done.stdout
    assert " passed" in done.stdout


GROUPS = {
    "heads": "head", "estimators": "estimator", "loggers": "logger", "backbones": "backbone",
    "datasets": "dataset",
}  # fmt: skip


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nowhere:Thing", "No module named 'nowhere'"),
        ("theirs:Thong", "has no 'Thong'. Did you mean 'Thing'"),
        ("theirs:number", "got 3"),
    ],
)
def test_an_entry_point_that_is_none(fewshot, site, feature_file, kind, target, problem):
    code = "number = 3\n\n\nclass Thing:\n    pass\n"
    add_package(site, "theirs", f"fewshot.{kind}", f"thing = {target}", code)
    listed = fewshot("list", kind)
    assert "thing" not in listed.stdout.split()
    (line,) = listed.stderr.splitlines()
    assert line.startswith("fewshot: left out: ")
    assert "theirs" in line and problem in line
    argument = GROUPS[kind]
    done = fewshot(f"{argument}=thing", *[a for a in FILE if argument not in a], code=2)
    assert f"{argument}: 'thing' of the package theirs" in done.stderr and problem in done.stderr
    if kind == "heads":  # what was not asked for is no error
        assert fewshot("head=ncm", *FILE).stderr == ""


@pytest.mark.parametrize("kind", [k for k in GROUPS if k not in ("backbones", "datasets")])
def test_a_class_of_another_kind(fewshot, site, kind):
    add_package(
        site, "theirs", f"fewshot.{kind}", "thing = theirs:Thing", "class Thing:\n    pass\n"
    )
    done = fewshot(f"{GROUPS[kind]}=thing", code=2)
    assert "expected a class derived from fewshot." in done.stderr
    assert "got the class Thing" in done.stderr


@pytest.mark.parametrize("kind", GROUPS)
def test_two_packages_with_one_name(fewshot, site, kind):
    for name in ("theirs", "others"):
        add_package(site, name, f"fewshot.{kind}", f"thing = {name}:Thing", "class Thing: pass\n")
    listed = fewshot("list", kind)
    assert "theirs (theirs:Thing)" in listed.stderr and "others (others:Thing)" in listed.stderr
    done = fewshot(f"{GROUPS[kind]}=thing", code=2)
    assert "is the name of several: " in done.stderr
    assert "theirs (theirs:Thing)" in done.stderr and "others (others:Thing)" in done.stderr


@pytest.mark.parametrize(
    ("kind", "name"),
    [("heads", "ncm"), ("backbones", "resnet18"), ("datasets", "digits"), ("datasets", "cub")],
)
def test_names_of_this_package_are_never_replaced(fewshot, site, kind, name):
    add_package(site, "theirs", f"fewshot.{kind}", f"{name} = theirs:Thing", "class Thing: pass\n")
    listed = fewshot("list", kind)
    assert name in listed.stdout.split()
    assert "theirs" in listed.stderr and "counts" in listed.stderr


@pytest.fixture
def mine(tmp_path, feature_file):
    """``mine.py`` in the working directory."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "wrong.py").write_text("def f(:\n")
    return tmp_path / "mine.py"


def test_a_head_of_the_working_directory(fewshot, mine):
    shown = fewshot("--cfg", "job", "-p", "head", "head=[lda,mine:MyHead]", "head.myhead.alpha=2")
    assert (
        "# mine:MyHead.\nmyhead:\n  _target_: mine:MyHead\n"
        "  # number > 0. Not used for anything.\n  alpha: 2\n"
    ) in shown.stdout
    done = fewshot("head=[lda,mine:MyHead,mine:shrunk]", "head.myhead.alpha=2", *FILE)
    assert "myhead (alpha=2)" in done.stdout and "shrunk" in done.stdout
    swept = fewshot("-m", "head=ncm,mine:MyHead", *FILE)
    assert "myhead" in swept.stdout


def test_in_yaml(fewshot, mine, tmp_path):
    folder = tmp_path / "conf" / "sweep"
    folder.mkdir(parents=True)
    (folder / "heads.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /head: [ncm, 'mine:MyHead']\n"
        "head:\n  myhead:\n    alpha: 3\n  other:\n    _target_: mine:NCM\n    alpha: 4\n"
    )
    done = fewshot("--config-dir", "conf", "sweep=heads", *FILE)
    assert "myhead (alpha=3)" in done.stdout and "other (alpha=4)" in done.stdout


def test_changed_code_makes_new_cells_unless_it_has_a_version(fewshot, mine):
    def computed(code):
        mine.write_text(code)
        sys.modules.pop("mine", None)
        (line,) = re.findall(
            r"(\d+) computed", fewshot("head=[ncm,mine:MyHead]", *FILE).stdout
        ) or [2]
        return int(line)

    assert computed(MINE) == 2
    assert computed(MINE) == 0
    assert computed(MINE.replace("self.alpha = alpha", "self.alpha = 2 * alpha / 2")) == 1
    versioned = MINE.replace("    def __init__", "    version = 1\n\n    def __init__", 1)
    assert computed(versioned) == 1
    assert computed(versioned.replace("of mine", "of all of us")) == 0
    assert computed(versioned.replace("version = 1", "version = 23")) == 1


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("head=mine:Missing", "mine has no 'Missing'"),
        ("head=mine:MyHaed", "Did you mean 'MyHead'"),
        ("head=mine:number", "expected a class derived from fewshot.heads.base.Head"),
        ("head=mine:nothing", "expected it to return an object of a class derived from"),
        ("head=mine:NCM", "would be called 'ncm', as is fewshot"),
        ("head=[mine:MyHead,wrong:MyHead]", "cannot be imported: SyntaxError"),
        ("head=broken:MyHead", "No module named 'nothing_of_this_name'"),
        ("head=nowhere:MyHead", "No module named 'nowhere'"),
        ("head=mine:", "expected module:attribute"),
        ("estimator=mine:MyHead", "expected a class derived from fewshot.estimators"),
        ("logger=mine:MyHead", "expected a class derived from fewshot.loggers"),
        ("dataset=mine:nothing", "expected it to make a fewshot.datasets"),
        ("backbone=mine:Missing", "mine has no 'Missing'"),
        ("backbone=mine:nothing", "should return a torch.nn.Module, got NoneType"),
        ("task=mine:MyHead", "expected a class derived from fewshot.tasks.Task"),
    ],
)
def test_what_cannot_be_had_is_one_line(fewshot, mine, argument, problem):
    group = argument.partition("=")[0]
    others = [] if group in ("dataset", "backbone") else FILE
    done = fewshot(argument, *others, code=2)
    assert problem in done.stderr
    assert f"fewshot: error: {group}" in done.stderr


def test_wrong_settings_are_one_line(fewshot, mine):
    done = fewshot("head=mine:MyHead", "head.myhead.alpha=-1", *FILE, code=2)
    assert "head.myhead: alpha has to be positive" in done.stderr
    done = fewshot("head=mine:MyHead", "head.myhead.alfa=1", *FILE, code=2)
    assert "Did you mean 'head.myhead.alpha'" in done.stderr
    done = fewshot("+head.lda._target_=mine:MyHead", *FILE, code=2)
    assert "'lda' is the name of another one" in done.stderr
