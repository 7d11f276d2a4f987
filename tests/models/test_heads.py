"""Every head that can be fitted gives the same probabilities, bit for bit, from its file."""

import sys

import numpy as np
import pytest
import torch

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.heads import KNN, NCM, SimpleShot, TransformedNCM, heads
from fewshot.heads.fitted_linear import FittedLinear

# These read class names, or centre on base classes, which predictions do not give them.
NEED_MORE = {"simpleshot"} | {
    name for name in heads.registered() if "text" in heads.create(name).uses
}
OWN_HEAD = """\
import torch
from fewshot.heads import NCM, Head


class Nearest(Head):
    def __init__(self, power=2.0, table=None):
        self.power, self.table = power, table

    def fit(self, support):
        self.support_ = support
        return self

    def scores(self, query):
        return -torch.cdist(query.features, self.support_.means(), p=self.power)


class Linear(NCM):
    pass
"""


def quick(name):
    """A head with the parameters that its checks take."""
    return heads.create(name, **heads.create(name).tags.check_with)


def same(first, second, X):
    return np.array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize("name", [name for name in heads.registered() if name not in NEED_MORE])
def test_what_is_loaded_is_what_was_fitted(name, make_bank_of, queries, workplace):
    fitted = fewshot.fit(make_bank_of(), head=quick(name))
    fitted.save("m.fewshot")
    loaded = fewshot.load("m.fewshot")
    assert same(fitted, loaded, queries)
    assert np.array_equal(fitted.predict_set(queries), loaded.predict_set(queries))
    linear = isinstance(fitted.fitted_.head, FittedLinear)
    assert loaded.header_.head["form"] == ("linear" if linear else "support")
    assert loaded.header_ == fitted.header_
    loaded.save("again.fewshot")
    assert same(fewshot.load("again.fewshot"), fitted, queries)


@pytest.mark.parametrize("name", sorted(NEED_MORE))
def test_heads_that_need_more_say_so(name, make_bank_of):
    with pytest.raises(FewshotError, match=rf"^head: {name} (reads class names|centres features)"):
        fewshot.fit(make_bank_of(), head=name)


@pytest.mark.parametrize(
    "head", [SimpleShot(center="support"), TransformedNCM(power=0.5), KNN(k=3), NCM("cosine")]
)
def test_parameters_and_unregistered_classes_of_this_package(head, make_bank_of, queries):
    fitted = fewshot.fit(make_bank_of(), head=head)
    fitted.save("m.fewshot")
    loaded = fewshot.load("m.fewshot")
    assert same(fitted, loaded, queries)
    assert loaded.header_.head["parameters"] == head.get_params()


@pytest.fixture
def own_head(workplace, monkeypatch):
    (workplace / "own_head.py").write_text(OWN_HEAD)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    yield
    sys.modules.pop("own_head", None)


def test_a_head_of_a_module_is_imported_only_if_the_caller_names_it(
    own_head, make_bank_of, queries, monkeypatch
):
    fitted = fewshot.fit(make_bank_of(), head="own_head:Nearest")
    fitted.save("m.fewshot")
    monkeypatch.delitem(sys.modules, "own_head")
    with pytest.raises(FewshotError, match="a file does not make code run") as caught:
        fewshot.load("m.fewshot")
    assert "own_head" not in sys.modules and "head='own_head:Nearest'" in str(caught.value)
    assert same(fewshot.load("m.fewshot", head="own_head:Nearest"), fitted, queries)
    with pytest.raises(FewshotError, match=r"^head: expected own_head:Nearest, on which"):
        fewshot.load("m.fewshot", head="knn")


def test_another_head_of_the_name_of_a_registered_one(own_head, make_bank_of):
    """`knn` of a file that was fitted on another class of that name is not ours."""
    heads.add("own_nearest", "own_head:Nearest")
    try:
        fewshot.fit(make_bank_of(), head="own_nearest").save("m.fewshot")
        heads.remove("own_nearest")
        heads.add("own_nearest", "fewshot.heads.knn:KNN")
        with pytest.raises(FewshotError, match=r"expected own_head:Nearest, .* got .*knn:KNN"):
            fewshot.load("m.fewshot")
    finally:
        heads.remove("own_nearest")


def test_a_linear_head_of_a_module_needs_no_class(own_head, make_bank_of, queries, monkeypatch):
    fitted = fewshot.fit(make_bank_of(), head="own_head:Linear")
    fitted.save("m.fewshot")
    monkeypatch.delitem(sys.modules, "own_head")
    assert same(fewshot.load("m.fewshot"), fitted, queries)
    assert same(fewshot.load("m.fewshot", head="own_head:Linear"), fitted, queries)
    assert "own_head" not in sys.modules
    for other in ("ncm", "own_head:Nearest", "nothing"):
        with pytest.raises(FewshotError, match=r"own_head:Linear, .* got|expected a registered"):
            fewshot.load("m.fewshot", head=other)


def test_parameters_that_no_file_holds(own_head, make_bank_of, workplace):
    from own_head import Nearest

    fitted = fewshot.fit(make_bank_of(), head=Nearest(table=torch.zeros(2)))
    with pytest.raises(FewshotError, match="its parameter 'table' is an object of Tensor"):
        fitted.save("m.fewshot")
    assert not (workplace / "m.fewshot").exists()
