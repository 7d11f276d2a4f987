"""The sentences at the top of the page say "clearly" only for clear differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fewshot.report.payload.payload import payload
from fewshot.report.wording import head_notes
from fewshot.statistics.populations import mean_interval

EPISODES, WAYS, CLASSES = 400, 5, 40


def made(*cells):
    """Answer for cells given as dicts: names, ``error`` (E,), and ``drawn``, the episodes' name."""
    tables, summaries = [], []
    for changes in cells:
        cell = {
            "task": "classification", "dataset": "birds", "part": "novel", "backbone": "resnet",
            "feature": "pooled", "head": "ncm", "variant": "", "ways": WAYS, "shots": 5, "seed": 0,
        }  # fmt: skip
        cell |= {key: value for key, value in changes.items() if key in cell}
        error = changes["error"]
        drawn = changes.get("drawn", "same")
        tables.append(
            pd.DataFrame({"episode": np.arange(len(error))}).assign(
                **cell, classes=changes.get("classes", CLASS_NAMES), actual_error=error
            )
        )
        classes = changes.get("interval")
        summaries.append({
            **cell, "queries": 15, "episodes": len(error), "estimators": changes.get("said", {}),
            "head_uses": changes.get("uses", []), "learns_from": changes.get("learns_from"),
            "accuracy": mean_interval(1 - error), "actual_error": mean_interval(error),
            "accuracy_intervals": {"classes": classes} if classes else {},
            "comparisons": changes.get("comparisons", []), "hashes": {"episodes": drawn},
        })  # fmt: skip
    return payload({"cells": summaries}, {"episodes": pd.concat(tables)}).answer


def lines(*cells):
    return made(*cells)[0]["lines"]


rng = np.random.default_rng(0)
DRAWN = rng.random((EPISODES, CLASSES)).argsort(1)[:, :WAYS]
CLASS_NAMES = [[f"class {c}" for c in classes] for classes in DRAWN.tolist()]
BASE = 0.3 + 0.08 * rng.standard_normal(EPISODES)
NOISE = 0.02 * rng.standard_normal(EPISODES)


def test_clearly_ahead_of_backbone_and_head():
    (line,) = lines(
        {"error": BASE},
        {"head": "lda", "error": BASE - 0.02 + NOISE},
        {"backbone": "vit", "head": "lda", "error": BASE - 0.05 - NOISE},
        {"backbone": "vit", "error": BASE - 0.04 - NOISE * 0.5},
    )
    right = 100 * (1 - (BASE - 0.05 - NOISE).mean())
    assert line.startswith(f"5-way, 5 shots: vit with lda is right in {right:.1f} %")
    gap = (BASE - 0.02 + NOISE) - (BASE - 0.05 - NOISE)
    half = 1.96 * gap.std(ddof=1) / EPISODES**0.5
    assert (
        f"clearly ahead of the next backbone, resnet with lda (+{100 * gap.mean():.1f} ± "
        f"{100 * half:.1f} points on the same episodes)"
    ) in line
    assert "clearly ahead of the next head, ncm (+1.0 ± 0.1 points" in line
    assert "not clearly" not in line


def test_not_clearly_ahead():
    wild = 0.2 * rng.standard_normal(EPISODES)
    wild -= wild.mean()
    (line,) = lines({"error": BASE}, {"backbone": "vit", "error": BASE - 0.002 + wild})
    assert "not clearly ahead of the next backbone, resnet with ncm (+0.2 ± 1.9 points" in line
    assert "next head" not in line  # there is one head only


def test_ahead_on_these_classes_only():
    """The effect of a class is the same in all its episodes: other classes could reverse it."""
    by_class = np.random.default_rng(1).standard_normal(CLASSES) * 0.2
    gap = by_class[DRAWN].mean(1)
    gap += 0.03 - gap.mean()
    (line,) = lines({"error": BASE}, {"backbone": "vit", "error": BASE - gap})
    assert "ahead of the next backbone, resnet with ncm, on these classes (+3.0 ± 0." in line
    assert "for other classes, where it is not clear" in line
    assert "; clearly" not in line


def test_every_episode_with_all_classes_says_nothing_of_others():
    all_same = [["a", "b", "c", "d", "e"]] * EPISODES
    (line,) = lines(
        {"error": BASE, "classes": all_same},
        {"backbone": "vit", "error": BASE - 0.05 + NOISE, "classes": all_same},
    )
    assert "clearly ahead of the next backbone" in line and "other classes" not in line


def test_other_episodes_are_not_compared():
    (line,) = lines({"error": BASE}, {"backbone": "vit", "error": BASE - 0.1, "drawn": "others"})
    assert "the next backbone, resnet with ncm, has 7" in line and "but on other episodes" in line
    assert "ahead" not in line


def test_equal_heads_are_as_good():
    (line,) = lines({"error": BASE}, {"head": "lda", "error": BASE + 1e-15})
    assert "the next head, ncm, is as good" in line or "the next head, lda, is as good" in line


def test_seeds_are_averaged_and_paired():
    other = BASE[::-1]
    (line,) = lines(
        {"error": BASE}, {"error": other, "seed": 1, "drawn": "1"},
        {"backbone": "vit", "error": BASE - 0.04 + NOISE},
        {"backbone": "vit", "error": other - 0.02 - NOISE, "seed": 1, "drawn": "1"},
        # Judged under one seed only, it does not take part.
        {"backbone": "lucky", "error": BASE - 0.2},
    )  # fmt: skip
    assert "vit with ncm" in line and "(mean of 2 seeds)" in line and "lucky" not in line
    assert "(+3.0 ± 0.1 points" in line


def test_the_best_on_average_may_be_behind_on_the_episodes_that_both_have():
    """Under seed 1 `ncm` had easy episodes and `lda` hard ones; under seed 0 `lda` is better."""
    (line,) = lines(
        {"error": BASE}, {"error": BASE - 0.2, "seed": 1, "drawn": "1"},
        {"head": "lda", "error": BASE - 0.03 + NOISE},
        {"head": "lda", "error": BASE, "seed": 2, "drawn": "2"},
    )  # fmt: skip
    assert "resnet with ncm is right in" in line
    assert "; not clearly ahead of the next head, lda (-2.9 ± 0." in line


def test_intervals_and_transduction_are_told():
    interval = {"mean": 0.7, "lower": 0.655, "upper": 0.745}
    (line,) = lines({"error": BASE, "uses": ["queries"], "interval": interval})
    assert "resnet with ncm (transductive) is right in 7" in line
    assert "over episodes, ± 4.5 for other classes)" in line


def test_a_head_that_learns_from_images_apart_from_the_queries_is_semi_supervised():
    (line,) = lines({"error": BASE, "uses": ["queries"], "learns_from": "unlabelled"})
    assert "resnet with ncm (semi-supervised) is right in 7" in line


def test_notes_say_what_a_head_learned_from():
    cell = {"head": "tim", "variant": "", "head_uses": ["query_prior", "queries"]}
    drawn = {"unlabelled": 20, "unlabelled_shares": "equal", "strangers": 0.25}
    (apart,) = head_notes([cell | drawn | {"learns_from": "unlabelled"}])
    assert apart == (
        "semi-supervised: learns from 20 unlabelled images per class, 25 % strangers, and "
        "classifies every query by itself; assumes the same number of unlabelled images of every "
        "class"
    )
    (among,) = head_notes([cell | {"learns_from": "queries and strangers"}])
    assert "transductive: sees all queries" in among and "strangers" in among
    assert head_notes([cell]) == head_notes([cell | {"learns_from": "queries"}])


def test_more_shots_are_followed_with_one_combination():
    cells = [
        {"backbone": name, "shots": K, "error": BASE - gain, "drawn": str(K)}
        for name, gains in {"resnet": (0.08, 0.1, 0.12), "vit": (0.0, 0.15, 0.2)}.items()
        for K, gain in zip((1, 5, 10), gains, strict=True)
    ]
    sentences = lines(*cells)
    assert sentences[0].startswith("5-way, 1 shot: resnet")
    assert sentences[2].startswith("5-way, 10 shots: vit")
    assert (
        sentences[3]
        == "More shots (vit with ncm): +15.0 points from 1 to 5, +5.0 points from 5 to 10."
    )


def test_few_lines_for_many_shots_and_many_data_sets():
    sentences = lines(*({"shots": K, "error": BASE, "drawn": str(K)} for K in range(1, 9)))
    assert [line.split(":")[0] for line in sentences[:4]] == [
        "5-way, 1 shot", "5-way, 3 shots", "5-way, 6 shots", "5-way, 8 shots",
    ]  # fmt: skip
    assert len(sentences) <= 6
    parts = made(*({"dataset": f"d{i}", "error": BASE} for i in range(11)))
    assert [part["heading"] for part in parts[:8]] == [f"d{i}" for i in (0, 1, 10, 2, 3, 4, 5, 6)]
    assert parts[-1]["lines"][0] == "3 more data sets are in the table."


def said(mae, constant, lower, upper, spearman=0.4, episodes=EPISODES):
    """An estimator's numbers, with the interval of constant minus auto."""
    row = {"defined": episodes, "sees_queries": False}
    return {
        "said": {
            "auto": row | {"mae": mae, "coverage": 0.91, "level": 0.9, "spearman": spearman},
            "constant": row | {"mae": constant},
            "oracle": row | {"mae": 0.001, "sees_queries": True, "spearman": 1.0},
        },
        "comparisons": [
            {"first": "constant", "second": "auto", "episodes": episodes,
             "difference": {"mean": constant - mae, "lower": lower, "upper": upper}}
        ],
    }  # fmt: skip


def test_predictions_beside_the_constant():
    sentences = lines(
        {"error": BASE - 0.01, **said(0.03, 0.05, 0.01, 0.03)},
        {"head": "lda", "error": BASE, **said(0.04, 0.05, -0.01, 0.03)},
    )
    assert sentences[-1] == (
        "Predicted errors, 5-way, 5 shots, resnet with ncm: auto, from the shots alone, is off by "
        "3.0 points on average; saying the same of all would be off by 5.0 (clearly nearer), a "
        "difference of -2.0 ± 1.0 points. It tells harder episodes from easier ones (Spearman "
        "0.40, 0.31 to 0.48; 1 is the right order). Its 90 % intervals held 91 % of the errors. "
        "The other combination: off by 4.0."
    )
    (_, last) = lines({"error": BASE, **said(0.03, 0.05, 0.01, 0.03)})
    assert "(clearly nearer)" in last and "other combination" not in last


def test_unlike_cells_have_a_sentence_each_and_no_average():
    """No means over 1 and 5 shots, two data sets or three heads."""
    cells = [
        {"dataset": name, "head": head, "shots": K, "error": BASE + worse, "drawn": f"{name}{K}",
         **said(mae + worse, 0.05, 0.01, 0.03)}
        for name in ("birds", "cars")
        for K, mae in ((1, 0.11), (5, 0.02))
        for head, worse in (("ncm", 0.0), ("lda", 0.01), ("svm", 0.03))
    ]  # fmt: skip
    parts = made(*cells)
    for part in parts[1:3]:
        single, five = [line for line in part["lines"] if line.startswith("Predicted errors")]
        assert "1 shot, resnet with ncm: auto" in single and "off by 11.0 points" in single
        assert single.endswith("The 2 other combinations: off by 12.0 to 14.0.")
        assert "5 shots, resnet with ncm: auto" in five and "off by 2.0 points" in five
        assert five.endswith("The 2 other combinations: off by 3.0 to 5.0.")


def test_seeds_are_alike_and_averaged():
    sentences = lines(
        {"error": BASE, **said(0.03, 0.05, 0.01, 0.03)},
        {"error": BASE, "seed": 1, "drawn": "1", **said(0.05, 0.06, 0.01, 0.01, spearman=0.2)},
    )
    assert "off by 4.0 points on average (mean of 2 seeds)" in sentences[-1]
    assert (
        "would be off by 5.5 (clearly nearer), a difference of -1.5 ± 0.5 points" in sentences[-1]
    )
    assert "Spearman 0.30, 0.24 to 0.37" in sentences[-1]


@pytest.mark.parametrize("spearman", [0.0, 0.05, None])
def test_near_on_average_is_not_told_apart(spearman):
    (_, last) = lines({"error": BASE, **said(0.03, 0.05, 0.01, 0.03, spearman)})
    assert "It does not tell these episodes apart" in last
    assert "clearly nearer" not in last and "(nearer to their average)" in last


def test_the_wrong_order_is_said():
    (_, last) = lines({"error": BASE, **said(0.03, 0.05, 0.01, 0.03, -0.3)})
    assert "It takes harder episodes for easier ones (Spearman -0.30" in last


@pytest.mark.parametrize(
    ("episodes", "words"),
    [
        (3, "3 episodes are too few to show"),
        # Bonett and Wright's interval, tanh(atanh(0.4) +- 1.96 sqrt(1.08 / 9)).
        (12, "does not tell these episodes apart (Spearman 0.40, -0.25 to 0.80; 12 episodes are f"),
        (100, "tells harder episodes from easier ones (Spearman 0.40"),
    ],
)
def test_few_episodes_show_little(episodes, words):
    (_, last) = lines({"error": BASE, **said(0.03, 0.05, 0.01, 0.03, 0.4, episodes)})
    assert words in last


def test_the_constant_of_the_same_episodes_is_beside_a_prediction_of_some():
    cell = {"error": BASE, **said(0.03, 0.08, 0.01, 0.03)}
    cell["said"]["auto"] |= {"defined": 100, "skill": 0.25}
    (_, last) = lines(cell)
    assert "off by 4.0 (clearly nearer)" in last
    del cell["said"]["auto"]["skill"]
    (_, last) = lines(cell)
    assert "would be off" not in last


def test_where_nothing_was_predicted():
    none = {"said": {"loo": {"mae": None, "defined": 0}}}
    assert lines({"error": BASE, **none})[-1] == "No estimator could predict an error."
    sentences = lines(
        {"error": BASE, **none, "shots": 1}, {"error": BASE, **said(0.03, 0.05, 0.01, 0.03)}
    )
    assert sentences[-2].endswith("1 shot, resnet with ncm: no estimator could predict an error.")
    constant = {"said": {"constant": {"mae": 0.06, "defined": EPISODES}}}
    (_, last) = lines({"error": BASE, **constant})
    assert "only constant, which says the same of all, predicted any and is off by 6.0" in last


def test_a_worse_prediction_is_never_clearly_nearer():
    (_, last) = lines({"error": BASE, **said(0.06, 0.05, -0.02, -0.001)})
    assert "off by 6.0 points" in last and "off by 5.0 (not clearly nearer)" in last


@pytest.mark.parametrize("several", [False, True])
def test_the_best_of_many_is_said_to_be_flattered(several):
    cells = [{"error": BASE}, {"head": "lda", "error": BASE - 0.01}]
    words = " ".join(made(*cells[: 1 + several])[-1]["lines"])
    assert ("best of 2 combinations" in words) == several


def test_the_best_over_all_data_sets():
    gains = {"d1": {"ncm": 0.05, "lda": 0.0}, "d2": {"ncm": 0.0, "lda": 0.03}, "d3": {"ncm": 0.01}}
    cells = [
        {"dataset": name, "head": head, "error": BASE - gain, "drawn": name}
        for name, gains_by_head in gains.items()
        for head, gain in gains_by_head.items()
    ]
    first = made(*cells[:4])[0]
    mean = 100 * (1 - BASE.mean() + 0.025)
    assert first["heading"] == "Over all data sets"
    assert first["lines"][0].startswith(
        f"5-way, 5 shots: resnet with ncm is right in {mean:.1f} % on average over 2 data sets"
    )
    assert first["lines"][0].endswith("it is the best one on 1 of them.")
    assert made(*cells)[0]["heading"] == "d1"  # all have one combination only


def test_a_digit_more_where_one_would_not_show_what_is_clear():
    worse = BASE + 0.0022 + 0.0173 * (-1) ** np.arange(EPISODES)
    (line,) = lines({"error": BASE}, {"head": "lda", "error": worse})
    assert "clearly ahead of the next head, lda (+0.22 ± 0.17 points" in line


def test_a_backbone_with_more_features_on_one_data_set_is_still_the_same():
    cells = [
        {"dataset": name, "head": head, "error": BASE - 0.01 * (head == "lda"), "drawn": name}
        for name in ("d1", "d2")
        for head in ("ncm", "lda")
    ]
    more = {"dataset": "d1", "feature": "patches", "error": BASE, "drawn": "d1"}
    first = made(*cells, more)[0]
    assert first["heading"] == "Over all data sets"
    assert "resnet (pooled) with lda" in first["lines"][0]


def test_nothing_to_say():
    assert payload({"cells": []}, {}).answer == []
