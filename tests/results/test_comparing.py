"""Pairs of heads and backbones on the same episodes, and tests over data sets."""

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, wilcoxon

from fewshot.episodes import sample_episodes
from fewshot.exceptions import FewshotError
from fewshot.results.comparing import compare
from fewshot.results.folders import find_runs
from fewshot.results.joining import Store
from fewshot.statistics.paired import compare_on_episodes


def opened():
    return Store(find_runs(["runs"]))


def test_a_pair(workplace, run_of, made):
    first, second = made(episodes=80), made(head="lda", worse=0.02, episodes=80)
    run_of("runs/a", first)
    run_of("runs/b", second)
    comparison = compare(opened(), "head", ["ncm", "lda"])
    (pair,) = comparison["pairs"]
    gap = (first[1]["accuracy"] - second[1]["accuracy"]).to_numpy()
    assert pair["mean"] == pytest.approx(gap.mean())
    half = 1.959964 * gap.std(ddof=1) / 80**0.5
    assert (pair["upper"] - pair["lower"]) / 2 == pytest.approx(half)
    assert (pair["better"], pair["worse"]) == ((gap > 0).sum(), (gap < 0).sum())
    assert (pair["first"], pair["second"], pair["backbone"]) == ("ncm", "lda", "net")
    assert pair["intervals"]["classes"]["lower"] is not None
    assert pair["intervals"]["images"]["lower"] is not None
    assert comparison["left_out"] == []
    assert "two data sets" in comparison["over_datasets"]["reason"]


def test_means_over_ways_say_as_much_of_other_images():
    """By way or by episode, the interval for other images estimates the same."""
    labels = np.repeat(np.arange(12), 40)
    drawn = sample_episodes(labels, 4, 2, 5, episodes=3000, seed=0)
    rng = np.random.default_rng(0)
    image = rng.normal(0, 0.2, len(labels))
    values = image[drawn.query].mean(2) + image[drawn.support].mean((1, 2))[:, None]
    rows = (drawn.classes, labels, drawn.support, drawn.query)
    exact = compare_on_episodes(values, 0 * values, *rows)["intervals"]["images"]
    means = np.broadcast_to(values.mean(1, keepdims=True), values.shape)
    rough = compare_on_episodes(means, 0 * values, *rows, impostors=True)["intervals"]["images"]
    assert rough["upper"] - rough["lower"] == pytest.approx(
        exact["upper"] - exact["lower"], rel=0.1
    )


def test_backbones_have_features_of_their_own(workplace, run_of, made):
    run_of("runs/a", made(backbone="x", feature="pooled"), made(backbone="y", feature="cls"))
    (pair,) = compare(opened(), "backbone", ["x", "y"])["pairs"]
    assert "feature" not in pair
    assert pair["head"] == "ncm"


def test_other_episodes_are_left_out(workplace, run_of, made, edited):
    run_of("runs/a", made(), made(shots=2))
    run_of("runs/b", made(head="lda"), made(head="lda", shots=2))
    edited("runs/b", lambda summary: summary["cells"][0]["hashes"].update(episodes="0" * 64))
    (workplace / "runs/a/episodes/3way_2shot.safetensors").unlink()
    comparison = compare(opened(), "head", ["ncm", "lda"])
    assert comparison["pairs"] == []
    reasons = [entry["reason"] for entry in comparison["left_out"]]
    assert reasons[0] == "they were not judged on the same episodes"
    assert "cannot read" in reasons[1]


def cells_on(made, sets, heads):
    rng = np.random.default_rng(0)
    return [made(dataset=f"set {i}", head=head, worse=float(rng.random() / 4), estimators=("loo",))
            for i in range(sets) for head in heads]  # fmt: skip


def means(store, head):
    cells = [cell for cell in store.summary()["cells"] if cell["head"] == head]
    return [cell["accuracy"]["mean"] for cell in sorted(cells, key=lambda cell: cell["dataset"])]


def test_two_over_data_sets(workplace, run_of, made):
    for i, cell in enumerate(cells_on(made, 7, ("a", "b"))):
        run_of(f"runs/{i}", cell)
    over = compare(opened(), "head", ["a", "b"])["over_datasets"]
    assert len(over["datasets"]) == 7
    assert over["p"] == wilcoxon(means(opened(), "a"), means(opened(), "b")).pvalue
    assert over["reason"] is None


def test_three_over_data_sets(workplace, run_of, made):
    for i, cell in enumerate(cells_on(made, 3, ("a", "b", "c"))):
        run_of(f"runs/{i}", cell)
    comparison = compare(opened(), "head", ["a", "b", "c"])
    accuracies = [means(opened(), head) for head in "abc"]
    assert comparison["over_datasets"]["p"] == pytest.approx(friedmanchisquare(*accuracies).pvalue)
    assert comparison["over_datasets"]["critical_difference"] > 0
    assert "fewer than 5 data sets" in comparison["over_datasets"]["reason"]
    assert len(comparison["pairs"]) == 9


def test_from_five_data_sets_on_a_test_is_relied_on(workplace, run_of, made):
    for i, cell in enumerate(cells_on(made, 5, ("a", "b", "c"))):
        run_of(f"runs/{i}", cell)
    assert compare(opened(), "head", ["a", "b", "c"])["over_datasets"]["reason"] is None


def test_a_table_that_turns_out_to_be_damaged(workplace, run_of, made, hole):
    """Episodes are read from the runs that are left, whatever their numbers were."""
    run_of("runs/0", made(head="svm"))
    run_of("runs/1", made())
    run_of("runs/2", made(head="lda"), created="2026-02-02")
    run_of("runs/3", made(head="lda", worse=0.1))
    hole("runs/0/episodes.parquet")
    hole("runs/2/episodes.parquet")
    store = opened()
    assert len(store.runs) == 4
    comparison = compare(store, "head", ["ncm", "lda"])
    assert comparison["left_out"] == []
    assert comparison["pairs"][0]["mean"] > 0.05
    with pytest.raises(FewshotError, match="no cell has 'svm'"):
        compare(opened(), "head", ["ncm", "svm"])


def test_a_name_counts_once(workplace, run_of, made):
    run_of("runs/a", made(), made(head="lda"))
    (pair,) = compare(opened(), "head", ["ncm", "ncm", "lda"])["pairs"]
    assert (pair["first"], pair["second"]) == ("ncm", "lda")


def test_of_several_features_one_has_to_be_chosen(workplace, run_of, made):
    run_of("runs/a", made(backbone="x"), made(backbone="x", feature="cls", worse=0.1),
           made(backbone="y"))  # fmt: skip
    with pytest.raises(FewshotError, match="x has several features: cls, pooled"):
        compare(opened(), "backbone", ["x", "y"])
    (pair,) = compare(opened(), "backbone", ["x", "y"], {"feature": ["pooled"]})["pairs"]
    assert pair["mean"] == 0


@pytest.mark.parametrize(
    ("of", "names", "words"),
    [
        ("head", ["ncm"], "heads: expected two or more"),
        ("head", ["ncm", "ncm"], "two or more"),
        ("head", ["ncm", "lad"], "Did you mean 'lda'"),
        ("backbone", ["net", "nett"], "backbones: no cell has 'nett'"),
    ],
)
def test_mistakes(workplace, run_of, made, of, names, words):
    run_of("runs/a", made(), made(head="lda"))
    with pytest.raises(FewshotError) as caught:
        compare(opened(), of, names)
    assert words in str(caught.value)
