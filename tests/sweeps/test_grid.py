"""Values that a multirun goes over are checked before any job is made."""

import pytest

from fewshot.exceptions import FewshotError
from fewshot.sweeps.grid import check_sweep


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed=range(0,10,-1)", "expected one value or more, got none"),
        ("seed=range(10,0)", "expected one value or more, got none"),
        ("seed=range(0,10,0)", "a step other than 0"),
        ("seed=range(0,1e400)", "finite"),
        ("seed=range(0,1000000000000)", "at most 100,000 jobs, got 1,000,000,000,000"),
        ("seed=shuffle()", "got none"),
        ("seed=glob(*)", "glob"),
        ("head=glob(zzz*)", "got none"),
        ("head.logistic.C=interval(1,0.1)", "whose first number is smaller"),
        ("head.logistic.C=int(interval(5,1))", "whose first number is smaller"),
        ("head.logistic.C=interval(0,1e309)", "finite"),
        ("head.logistic.C=tag(log, interval(0,1))", "above 0 on a logarithmic scale"),
        ("head.logistic.C=tag(log, interval(-1,1))", "above 0 on a logarithmic scale"),
    ],
)
def test_refused(setting, words):
    with pytest.raises(FewshotError, match=words):
        check_sweep(["-m", setting])


@pytest.mark.parametrize(
    "settings",
    [["seed=1,2"], ["seed=range(3)"], ["seed=range(3,0,-1)"], ["x=range(0.1,1,0.3)"],
     ["head=glob(l*)"], ["head=ncm,lda", "seed=range(1000)"], ["C=interval(0.1,1)"],
     ["C=tag(log, interval(0.001,100))"], ["C=interval(-1,1)"], ["seed=("]],
)  # fmt: skip
def test_accepted(settings):
    check_sweep(["-m", *settings])


def test_the_product_counts():
    check_sweep(["-m", "seed=range(400)", "episodes.ways=range(2,202)"])
    with pytest.raises(FewshotError, match="got 160,000"):
        check_sweep(["-m", "seed=range(400)", "episodes.ways=range(2,402)"])


def test_a_single_run_is_not_checked():
    check_sweep(["seed=range(10,0)"])
