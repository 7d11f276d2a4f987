"""One-class classification by name: every rule with every source of confusers, and the speed.

    python one_class.py --images DIR                     # DIR/<class>/<image>, conse_lite0
    python one_class.py --features bank.npz              # with `text`
    python one_class.py --images DIR one_class.tasks=1000 backbone=clip_vitb32

Half of the classes are base classes, on which the fixed threshold, tau and the posterior are
learned; tasks are of the others. Differences are paired: the same tasks. Seconds are those of
judging 1,000 tasks by all rules with one source, from similarities that are in memory.
"""

from __future__ import annotations

import argparse
from typing import Any

from common import best_of, table, write

from fewshot.config.compose import settings_from
from fewshot.evaluation.settings import evaluation_of
from fewshot.exceptions import FewshotError
from fewshot.hardware import available_cores
from fewshot.report.text.one_class import entries, header, source_text
from fewshot.statistics.intervals import half_width
from fewshot.tasks.one_class.cells import evaluate_one_class
from fewshot.tasks.one_class.plan import judged_classes, plan_of
from fewshot.tasks.one_class.rules import rules_named
from fewshot.tasks.one_class.run import one_class_inputs
from fewshot.tasks.one_class.sampling import draw_tasks
from fewshot.tasks.one_class.scores import NameVectors, batches, judged
from fewshot.units import plus_minus, short_percent

TASKS = 1000
BLENDS = {"anp_ft", "anp_ft_fitted", "posterior"}


def measure(given: list[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Rows of rules and sources, rows of paired differences, and the speed."""
    settings = settings_from(["task=one_class", *given])
    evaluation = evaluation_of(settings)
    nouns, engine = one_class_inputs(evaluation), evaluation.settings
    result = evaluate_one_class(
        nouns.bank,
        nouns.names,
        nouns.settings,
        engine,
        settings["seed"],
        base=nouns.base,
        taxonomy=nouns.taxonomy,
    )
    cells = [cell.summary for cell in result.cells]
    rows = [dict(zip(header(cells), entries(cell, cells), strict=True)) for cell in cells]
    shares = [short_percent(one["prevalence"], 3) for one in cells[0]["prevalences"]]
    pairs = [
        {"macro F1, points": what} | dict(zip(shares, texts, strict=True))
        for what, texts in differences([_asked(cell) for cell in cells])
    ]
    return rows, pairs, _speed(nouns, result.learned, settings["seed"], engine.threads)


def differences(cells: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Paired differences of macro F1: what is compared, and ``+1.5 ± 0.2`` per prevalence."""
    return [
        (
            f"{_rule_text(pair, 'first')} less {_rule_text(pair, 'second')}",
            [_difference_text(row["macro_f1"]) for row in pair["prevalences"]],
        )
        for cell in cells
        for pair in cell.get("comparisons") or []
    ]


def _rule_text(pair: dict[str, Any], which: str) -> str:
    rule, source = pair[which], pair[f"{which}_source"]
    return rule if source == "none" else f"{rule} ({source_text(source)})"


def _difference_text(interval: dict[str, Any]) -> str:
    return plus_minus(interval["mean"], half_width(interval), digits=1, sign=True)


def _asked(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell with comparisons of blends with their parts, and of sources with chance, alone."""
    kept = []
    for one in cell["comparisons"]:
        rules = {one["first"], one["second"]}
        sources = {one["first_source"], one["second_source"]}
        if (rules & BLENDS and rules & {"fixed", "max"}) or sources == {"llm", "random"}:
            kept.append(one)
    return cell | {"comparisons": kept}


def _speed(nouns: Any, learned: Any, seed: int, threads: int | None) -> dict[str, Any]:
    """Seconds for 1,000 tasks, all rules, one source, similarities at hand."""
    bank, names = nouns.bank, nouns.names
    source, confusers = next(iter(names.confusers.items()))
    one = NameVectors(names.classes, names.generic, {source: confusers})
    prevalences = nouns.settings.prevalences
    tasks = draw_tasks(bank.labels, judged_classes(bank), TASKS, prevalences, seed)
    plan, _ = plan_of(rules_named(nouns.settings.rules), one, learned)
    made = [make() for make in batches(bank, tasks, one)]
    similar = [lambda batch=batch: batch for batch in made]
    shortest, median = best_of(lambda: judged(similar, plan, threads))
    return {
        "tasks": TASKS,
        "rules": sum(len(rules) for rules, _ in plan.values()),
        "source": source,
        "images": sum(map(len, tasks.rows)),
        "cores": threads or available_cores(),
        "shortest (s)": f"{shortest:.2f}",
        "median (s)": f"{median:.2f}",
    }


def main() -> None:
    """Three tables: rules and sources, differences, speed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", metavar="DIR", help="a sub-folder per class")
    what.add_argument("--features", metavar="FILE", help=".npz or .safetensors with `text`")
    parser.add_argument("--json", metavar="FILE")
    given, settings = parser.parse_known_args()
    images = ["dataset=folder", f"dataset.root={given.images}", "backbone=conse_lite0"]
    features = ["dataset=features", f"dataset.path={given.features}"]
    chosen = [*(images if given.images else features), "dataset.split=random"]
    try:
        rows, pairs, speed = measure([*chosen, *settings])
    except FewshotError as error:
        parser.error(str(error))
    print(table(rows), end="\n\n")
    print(table(pairs) if pairs else "Nothing to compare.", end="\n\n")
    write(None, [speed])
    if given.json:
        write(given.json, [*rows, *pairs, speed])


if __name__ == "__main__":
    main()
