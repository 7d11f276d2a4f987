"""``fewshot text fit``, and runs with what it wrote."""

import json
from pathlib import Path

import numpy as np
import pytest

from fewshot.text.gaussians.fitted import load_text_gaussians

C, D = 14, 8


@pytest.fixture
def named(workplace):
    """``base.npz``, with text and without a split, and ``new.npz``: half of it is base classes."""
    rng = np.random.default_rng(0)
    for name in ("base", "new"):
        means, labels = rng.normal(size=(C, D)), np.repeat(np.arange(C), 8)
        features = means[labels] + rng.normal(size=(len(labels), D))
        names = np.array([f"{name} {c}" if c < C - 1 else "Both" for c in range(C)])
        split = {"split": np.where(labels < C // 2, "base", "novel")} if name == "new" else {}
        np.savez(
            f"{name}.npz", features=features.astype(np.float32), labels=labels, classnames=names,
            text=means + 0.3 * rng.normal(size=means.shape), **split,
        )  # fmt: skip


def arguments(name, *more):
    return ("dataset=features", f"dataset.path={name}.npz", "threads=1", *more)


RUN = ("head=[text_gaussian]", "estimator=[margin]", "episodes.ways=3", "episodes.shots=[0,1]",
       "episodes.count=6", "episodes.queries=3")  # fmt: skip


def summary():
    (path,) = Path("runs").rglob("summary.json")
    return json.loads(path.read_text())


def test_fit_and_run(fewshot, named):
    done = fewshot("text", "fit", *arguments("base"), "--output", "p.safetensors", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert (facts["predictor"], facts["classes"], facts["images"]) == ("ridge", C, 8 * C)
    assert facts["space"]["dimensions"] == D
    pool = load_text_gaussians(Path("p.safetensors")).pools["low_rank", "names"]
    assert facts["pools"]["low_rank/names"]["temper"] == pool.temper
    done = fewshot(*arguments("new", *RUN, "text.predictor=p.safetensors"))
    assert done.code == 0, done.err
    run_summary = summary()
    cells = [(cell["head"], cell["shots"]) for cell in run_summary["cells"]]
    assert cells == [("text_gaussian", 0), ("text_gaussian", 1)]
    predictor = run_summary["data"]["predictor"]
    assert (predictor["classes"], predictor["classes_in_common"]) == (C, ["Both"])


def test_told_in_words_and_fitted_on_base_classes_only(fewshot, named):
    done = fewshot("text", "fit", *arguments("new"), "--output", "deep/p.safetensors")
    assert done.code == 0, done.err
    assert f"Predictor    ridge, fitted on {C // 2} classes and {4 * C} images of " in done.out
    assert f"File         {Path('deep', 'p.safetensors')}\n" in done.out
    names = load_text_gaussians(Path("deep/p.safetensors")).classnames
    assert names == tuple(f"new {c}" for c in range(C // 2))


def test_a_run_learns_from_its_own_base_classes(fewshot, named):
    done = fewshot(*arguments("new", *RUN))
    assert done.code == 0, done.err
    assert summary()["data"]["predictor"] is None


def test_a_run_on_what_its_predictor_has_learned_from(fewshot, named):
    done = fewshot(*arguments("base", *RUN, "text.learn_from=base.npz"))
    message = f"fewshot: text.predictor: it has learned from images of {C} of the classes"
    assert done.code == 0 and message in done.err
    done = fewshot(*arguments("new", *RUN, "text.learn_from=base.npz"))
    assert done.code == 0 and "it has learned" not in done.err


def test_refusals_of_fit(refusal, named):
    def refused(*words):
        return refusal("text", "fit", *arguments("base"), *words)

    assert refused() == (
        "fewshot text fit: the following arguments are required: --output. See fewshot text fit "
        "--help."
    )
    assert refused("--output", "p.json").startswith("--output: expected a .safetensors file, got")
    output = ("--output", "p.safetensors")
    assert refused(*output, "deep").startswith(
        "fewshot text fit: expected SETTING=VALUE, got 'deep'"
    )
    message = refused(*output, "text.predictor=p.safetensors")
    assert message.startswith("text.predictor: expected a name to fit anew, got a file")
    message = refused(*output, "text.predictor=rigde")
    assert message.endswith("got 'rigde'. Did you mean 'ridge'?")
    with np.load("base.npz") as file:
        np.savez("base.npz", **{name: file[name] for name in ("features", "labels")})
    assert "these features come without text vectors" in refused(*output)
    assert not Path("p.safetensors").exists()


def test_refusals_of_runs(refusal, named):
    message = refusal(*arguments("new", *RUN, "text.predictor=p.safetensors"))
    assert message.startswith("text.predictor: expected a file, got nothing there: 'p.safetensors'")
    message = refusal(*arguments("base", *RUN))
    assert message.startswith("head=text_gaussian: expected 5 base classes or more")
    assert "fewshot text fit" in message
