"""What may be tuned, and on which classes."""

import pytest

from fewshot.exceptions import FewshotError
from fewshot.sweeps.tuning import checks
from fewshot.sweeps.tuning.checks import check_tuning, searched

SPACE = "head.logistic.C=tag(log, interval(0.001, 100))"


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    monkeypatch.setattr(checks, "installed", lambda _: True)


def test_what_is_searched():
    arguments = ["-m", "tune=optuna", SPACE, "head=logistic", "head.knn.k=1,3", "seed=range(1,4)"]
    assert searched(arguments) == ["head.logistic.C", "head.knn.k", "seed"]
    assert searched(["hydra.sweeper.params.head.knn.k='1,3'"]) == ["head.knn.k"]


def test_fine():
    check_tuning([])
    check_tuning(["-m", "seed=0,1", "dataset=digits"])
    check_tuning(["-m", "tune=null", "seed=0,1"])
    check_tuning(["-m", "tune=optuna", SPACE])
    check_tuning(["-m", "tune=optuna", SPACE, "episodes.part=validation"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune=optuna", SPACE], r"^tune: .*wants -m"),
        (["-m", "tune=optunna", SPACE], r"Did you mean 'optuna'\?"),
        (["-m", "tune=optuna", "head=ncm"], r"expected a setting to tune .* interval"),
        (["-m", "tune=optuna", SPACE, "episodes.part=novel"], "not be chosen on what is judged"),
        (["-m", "tune=optuna", SPACE, "episodes.part=null"], "not be chosen on what is judged"),
        (["-m", "tune=optuna", SPACE, "dataset=digits,mnist"], r"^dataset: .*the question"),
        (["-m", "tune=optuna", SPACE, "episodes.shots=1,5"], r"^episodes\.shots: .*the question"),
        (["-m", "hydra/sweeper=optuna", SPACE], r"^hydra/sweeper: .*Use tune=optuna"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(FewshotError, match=message):
        check_tuning(arguments)


def test_without_the_plugin(monkeypatch):
    monkeypatch.setattr(checks, "installed", lambda _: False)
    with pytest.raises(FewshotError, match=r"pip install '\.\[optuna\]'"):
        check_tuning(["-m", "tune=optuna", SPACE])
