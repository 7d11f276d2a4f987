"""The one-class task from end to end: rows, means, paired differences, rules left out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score

from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.tasks import table_columns
from fewshot.tasks.engine.settings import Settings
from fewshot.tasks.one_class import scores
from fewshot.tasks.one_class.background import background_of
from fewshot.tasks.one_class.cells import evaluate_one_class
from fewshot.tasks.one_class.confusers.lists import ConfuserLists, Dropped
from fewshot.tasks.one_class.plan import Base
from fewshot.tasks.one_class.scores import NameVectors, confusers_from, evidence_of
from fewshot.tasks.one_class.settings import BENCHMARKED, OneClassSettings
from fewshot.tasks.one_class.two_groups import two_group_scores

C, D = 8, 12
WANTED = OneClassSettings(tasks=10, prevalences=(0.5, 0.2), draws=200)


def make(parts=True):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(C), 10)
    means = rng.normal(size=(C, D))
    features = means[labels] + rng.normal(size=(len(labels), D))
    split = np.where(labels < 4, "base", "novel") if parts else None
    text = means + 0.3 * rng.normal(size=(C, D))
    names = [f"class {c}" for c in range(C)]
    return make_bank(
        features.astype(np.float32), labels, names, split=split, text=text, normalize="l2"
    )


def named(bank, sources=("llm", "random"), without=(), generic=True):
    rng = np.random.default_rng(1)
    text, made = torch.from_numpy(bank.text), {}
    for source in sources:
        listed = tuple(
            () if c in without else (f"{source} {c}", f"{source} {c}'") for c in range(C)
        )
        vectors = {
            name: torch.nn.functional.normalize(
                text[c] * (source == "llm") + torch.from_numpy(rng.normal(size=D)).float(), dim=0
            )
            for c, class_names in enumerate(listed)
            for name in class_names
        }
        dropped = tuple((Dropped("<b>", "synonym"),) for _ in range(C))
        lists = ConfuserLists(bank.classnames, listed, dropped, {"source": source})
        made[source] = confusers_from(lists, vectors, D)
    word = torch.nn.functional.normalize(text.mean(0), dim=0) if generic else None
    return NameVectors(text, word, made)


def recorded(bank, **record):
    """The names with another record of the source llm."""
    names = named(bank)
    confusers = names.confusers["llm"]
    lists = replace(confusers.lists, record=confusers.lists.record | record)
    return replace(names, confusers=names.confusers | {"llm": replace(confusers, lists=lists)})


def test_keys_depend_on_what_a_list_says_and_not_on_where_it_lies():
    bank = make()

    def keys(**record):
        cells = judge(bank, recorded(bank, **record), replace(WANTED, tasks=2, draws=20)).cells
        return [cell.summary["key"] for cell in cells]

    here = {"file": "/here/c.json", "sha256": "a", "folder": "/here", "vocabulary": "/here/v.txt"}
    there = {"file": "/there/c.json", "folder": "/there", "vocabulary": "v.txt"}
    digests = {"vocabulary_sha256": "b"}
    assert keys(**here, **digests) == keys(**(here | there), **digests)
    assert keys(**here, **digests) != keys(**(here | {"sha256": "c"}), **digests)
    assert keys(**here, **digests) != keys(**here, vocabulary_sha256="c")


def test_a_list_with_names_of_no_class_leaves_the_fixed_threshold():
    bank = make()
    names = named(bank, sources=("llm",), without=range(C))
    preset = replace(WANTED, tasks=3, draws=20, rules=("fixed", "anp", "max"), fixed=0.1)
    tables = [cell.tables["one_class"]["macro_f1"] for cell in judge(bank, names, preset).cells]
    assert len(tables) == 3
    for table in tables[1:]:
        pd.testing.assert_series_equal(table, tables[0])


def test_two_groups_beside_the_others(result):
    """The new rule leaves the numbers of all others as they are."""
    bank = make()
    names = named(bank)
    text = torch.from_numpy(bank.text)
    words = [f"word {c}" for c in range(C)]
    names = replace(names, background=background_of(bank.classnames, text, words, text.flip(0)))
    more = judge(bank, names, replace(WANTED, rules=(*BENCHMARKED, "two_groups")))
    assert {cell.summary["head"] for cell in more.cells} == {*BENCHMARKED, "two_groups"}
    for cell in result.cells:
        key = cell.summary["head"], cell.summary["source"]
        same = next(c for c in more.cells if (c.summary["head"], c.summary["source"]) == key)
        pd.testing.assert_frame_equal(cell.tables["one_class"], same.tables["one_class"])
    rows = next(c for c in more.cells if c.summary["head"] == "two_groups").tables["one_class"]
    threads = judge(bank, names, replace(WANTED, rules=("two_groups",)), threads=2)
    pd.testing.assert_frame_equal(threads.cells[0].tables["one_class"], rows)
    for row in rows.itertuples():  # each task and prevalence by itself
        rows_of_task = more.tasks.rows[row.episode]
        P = int(more.tasks.positives[row.episode])
        kept = [*rows_of_task[: row.positives], *rows_of_task[P : P + row.negatives]]
        c, x = int(more.tasks.targets[row.episode]), bank.take(torch.arange(len(bank)))
        every = x[torch.from_numpy(rows_of_task)].float()
        evidence = evidence_of(every, text[c], names.background, c)
        place = {int(n): i for i, n in enumerate(rows_of_task)}
        chosen = torch.tensor([place[int(n)] for n in kept])
        there = torch.ones(len(kept), dtype=torch.bool)
        yes = two_group_scores(evidence[chosen], every[chosen], there) > 0
        truth = np.arange(len(kept)) < row.positives
        assert row.f1 == pytest.approx(f1_score(truth, yes.numpy(), zero_division=0), abs=1e-6)


def judge(bank, names, task_settings=WANTED, base=True, threads=1, **more):
    base_classes = Base(bank, names, bank.classes("base")) if base else None
    return evaluate_one_class(
        bank, names, task_settings, Settings(threads=threads), base=base_classes, **more
    )


@pytest.fixture(scope="module")
def result():
    bank = make()
    return judge(bank, named(bank))


def cell(result, rule, source):
    (match,) = (
        c for c in result.cells if (c.summary["head"], c.summary["source"]) == (rule, source)
    )
    return match


def test_every_rule_and_source_has_a_cell(result):
    keys = [
        (cell_result.summary["head"], cell_result.summary["source"]) for cell_result in result.cells
    ]
    alone = {"fixed", "generic"}
    expected = {(rule, source) for rule in BENCHMARKED for source in ("llm", "random")
                if rule not in alone} | {(rule, "none") for rule in alone}  # fmt: skip
    assert set(keys) == expected
    assert len(keys) == len(expected)
    assert result.left_out == []
    for cell_result in result.cells:
        assert list(cell_result.rows("one_class")) == list(table_columns("one_class"))
        assert len(cell_result.rows("one_class")) == 20


def test_only_novel_classes_are_judged(result):
    rows = cell(result, "anp", "llm").rows("one_class")
    assert set(rows["target"]) == {"class 4", "class 5", "class 6", "class 7"}
    labels = make().labels
    assert all((labels[rows] >= 4).all() for rows in result.tasks.rows)


def test_rows_equal_a_loop(result):
    bank = make()
    names = named(bank)
    x = torch.nn.functional.normalize(torch.from_numpy(bank.features), dim=1)
    rows = cell(result, "anp", "llm").rows("one_class")
    tasks, confusers = result.tasks, names.confusers["llm"]
    for t in range(10):
        c, first = tasks.targets[t], tasks.positives[t]
        for p in range(2):
            P, N = tasks.counts[t, p]
            rows_of_task = np.r_[tasks.rows[t][:P], tasks.rows[t][first : first + N]]
            s = x[rows_of_task] @ names.classes[c]
            lam = (x[rows_of_task] @ confusers.vectors[confusers.places[c]].T).mean(1)
            expected = f1_score(
                bank.labels[rows_of_task] == c, s > lam, average="macro", zero_division=0
            )
            row = rows.iloc[2 * t + p]
            assert row["macro_f1"] == pytest.approx(expected)
            assert (row["positives"], row["negatives"], row["target"]) == (P, N, f"class {c}")


def test_means_and_paired_differences_are_those_of_the_rows(result):
    first, second = cell(result, "anp", "llm"), cell(result, "anp", "random")
    (pair,) = (
        comparison for comparison in first.summary["comparisons"]
        if (comparison["second"], comparison["second_source"]) == ("anp", "random")
    )  # fmt: skip
    for p, share in enumerate((0.5, 0.2)):
        entry, means = pair["prevalences"][p], first.summary["prevalences"][p]
        assert entry["prevalence"] == means["prevalence"] == share
        rows = (cell_result.rows("one_class") for cell_result in (first, second))
        first_values, second_values = (
            table[table["prevalence"] == share]["macro_f1"].to_numpy() for table in rows
        )
        assert entry["macro_f1"]["mean"] == pytest.approx(np.mean(first_values - second_values))
        assert means["macro_f1"]["mean"] == pytest.approx(first_values.mean())
        assert means["macro_f1"]["lower"] <= first_values.mean() <= means["macro_f1"]["upper"]


def test_rows_do_not_depend_on_batches_or_threads(monkeypatch, result):
    bank = make()
    monkeypatch.setattr(scores, "BATCH_BYTES", 1)
    again = judge(bank, named(bank), threads=3)
    for before, after in zip(result.cells, again.cells, strict=True):
        pd.testing.assert_frame_equal(before.rows("one_class"), after.rows("one_class"))


def test_nothing_is_learned_from_classes_that_are_judged(result):
    bank = make()
    changed = bank.features.copy()
    changed[bank.labels >= 4] *= -1
    again = judge(replace(bank, features=changed), named(bank))
    assert again.learned == result.learned
    assert result.learned["llm"].fixed == result.learned["none"].fixed


def test_without_base_classes():
    bank = make(parts=False)
    untrained = judge(bank, named(bank), base=False)
    assert {cell_result.summary["head"] for cell_result in untrained.cells} == {
        "max",
        "anp",
        "generic",
    }
    assert "fixed" in {entry["head"] for entry in untrained.left_out}
    preset = judge(bank, named(bank), replace(WANTED, fixed=0.3, tau=0.1), base=False)
    heads = {cell_result.summary["head"] for cell_result in preset.cells}
    assert heads == set(BENCHMARKED) - {"anp_ft_fitted", "posterior"}
    with pytest.raises(FewshotError, match=r"no rule has all it needs \(fixed: it needs a fixed"):
        judge(bank, named(bank), replace(WANTED, rules=("fixed",)), base=False)


def test_without_confusers_at_all():
    bank = make()
    with pytest.raises(FewshotError, match="anp: it needs confusers"):
        judge(bank, named(bank, sources=()), replace(WANTED, rules=("anp",)))


def test_classes_without_confusers_fall_back_and_are_listed():
    bank = make()
    names = named(bank, without=(5,))
    evaluated = judge(bank, names)
    record = cell(evaluated, "max", "llm").summary["confusers"]
    assert record["fallbacks"] == {"class 5": "fixed threshold"}
    assert record["dropped"]["class 4"] == [["<b>", "synonym"]]
    fixed, anp = (
        cell(evaluated, *key).rows("one_class") for key in (("fixed", "none"), ("anp", "llm"))
    )
    without = fixed["target"] == "class 5"
    np.testing.assert_array_equal(fixed[without]["macro_f1"], anp[without]["macro_f1"])
    assert (fixed[~without]["macro_f1"] != anp[~without]["macro_f1"]).any()
    bare = judge(bank, named(bank, without=(5,), generic=False), base=False)
    rows = cell(bare, "anp", "llm").rows("one_class")
    assert rows[rows["target"] == "class 5"]["macro_f1"].isna().all()
    assert cell(bare, "anp", "llm").summary["prevalences"][0]["tasks"] < 10


def test_negatives_at_a_distance():
    bank = make(parts=False)
    tree = {f"class {c}": ["thing", f"kind {c // 4}", f"group {c // 2}"] for c in range(C)}
    task_settings = replace(WANTED, negatives="distance", distance=2, rules=("anp",))
    evaluated = judge(bank, named(bank), task_settings, base=False, taxonomy=tree)
    for c, rows, first in zip(
        evaluated.tasks.targets, evaluated.tasks.rows, evaluated.tasks.positives, strict=True
    ):
        others = bank.labels[rows[first:]]
        assert set(others // 4) == {c // 4}
        assert c // 2 not in others // 2
    assert evaluated.cells[0].summary["against"] == "distance 2"
    with pytest.raises(FewshotError, match="two classes have, 1, 2, 3, got 4"):
        judge(bank, named(bank), replace(task_settings, distance=4), base=False, taxonomy=tree)


def test_one_class_only():
    bank = make(parts=False).take_rows(np.arange(10))
    with pytest.raises(FewshotError, match="expected two classes"):
        judge(bank, named(bank), base=False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rules": ["anpft"]}, "Did you mean 'anp_ft'"),
        ({"sources": ["lm"]}, "Did you mean 'llm'"),
        ({"negatives": "far"}, "expected one of 'uniform', 'distance'"),
        ({"prevalences": [1.5]}, r"one_class\.prevalences: expected a number"),
        ({"tasks": 0}, r"one_class\.tasks"),
        ({"fixed": 2}, r"one_class\.fixed"),
        ({"tau": 0}, r"one_class\.tau"),
        ({"gamma": -1}, r"one_class\.gamma"),
        ({"distance": 0}, r"one_class\.distance"),
        ({"confusers": {"kk": 3}}, r"one_class\.confusers: there is no setting 'kk'"),
        ({"draws": None}, r"one_class\.draws"),
    ],
)
def test_settings_out_of_range(wrong, words):
    with pytest.raises(FewshotError, match=words):
        OneClassSettings.of(wrong)
