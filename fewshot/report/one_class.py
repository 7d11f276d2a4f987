"""One-class tasks in words and finished texts. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fewshot.report.verification import ONE_CLASS
from fewshot.report.wording import (
    Cell,
    percent_interval,
    plain,
)

QUESTION = "is this image a t, by the name of t alone? A yes or no for every image"
RULES = {
    "fixed": "FT, one threshold for all classes",
    "max": "the closest confuser is the threshold",
    "anp": "the average of the confusers is the threshold",
    "anp_ft": "between ANP and FT",
    "anp_ft_fitted": "the same with the constant that is best for the sum on base classes",
    "anp_and_ft": "the higher one of ANP and FT",
    "anp_and_random": "the higher one of ANP and the closest of random names",
    "lme": "log-mean-exp of the confusers, between max and ANP",
    "generic": 'the word "object" in place of confusers',
    "posterior": "log-odds of similarity and confusers, fitted on base classes",
}
TITLES = {
    "macro_f1": "macro F1",
    "f1": "F1 yes",
    "balanced_accuracy": "bal. acc.",
    "auroc": "AUROC",
    "average_precision": "AP",
    "regret": "regret",
}
MEANINGS = {
    "macro F1": "mean of the F1 of yes and of no, mean over tasks, at each share of positives; ± "
    "is the 95 % bootstrap interval for other target classes",
    "AUROC": "probability that a positive is further above its threshold than a negative; 50 by "
    "chance; as regret, at the first share of positives",
    "regret": "macro F1 that the best common shift of the rule's thresholds would add",
}


def of_one_class(cells: Iterable[Cell]) -> list[Any]:
    """Cells of one-class tasks."""
    return [cell for cell in cells if cell.get("task") == ONE_CLASS]


def shares(cells: Iterable[Cell]) -> list[float]:
    """Shares of positives of any of the cells, as they came."""
    return list(dict.fromkeys(one["prevalence"] for cell in cells for one in cell["prevalences"]))


def at(cell: Cell, share: float) -> Cell:
    """The entry of a cell at one share of positives; empty if it has none."""
    found = (one for one in cell["prevalences"] if one["prevalence"] == share)
    return next(found, {})


def share_text(share: float) -> str:
    """``F1 at 20 %``."""
    return f"F1 at {100 * share:.3g} %"


def source_text(source: str) -> str:
    """The source of confusers; a dash for rules that have none."""
    return "-" if source == "none" else plain(source)


def keys(cells: Sequence[Cell]) -> list[str]:
    """What tells the cells apart beside rule and source."""
    several = [name for name in ("against", "seed") if len({cell[name] for cell in cells}) > 1]
    return several


def header(cells: Sequence[Cell]) -> list[str]:
    """Names of the columns in the terminal."""
    titles = {"against": "negatives", "seed": "seed"}
    own = [titles[name] for name in keys(cells)]
    measured = [share_text(share) for share in shares(cells)]
    return ["rule", "confusers", *own, *measured, "AUROC", "regret"]


def entries(cell: Cell, cells: Sequence[Cell]) -> list[str]:
    """Texts of one row."""
    known = shares(cells)
    first = at(cell, known[0])
    return [
        plain(cell["head"]),
        source_text(cell["source"]),
        *(plain(cell[name]) for name in keys(cells)),
        *(percent_interval(at(cell, share).get("macro_f1")) for share in known),
        *(percent_interval(first.get(name)) for name in ("auroc", "regret")),
    ]


def about(cells: Sequence[Cell]) -> str:
    """``100 tasks of 51 target classes, negatives uniform, seed 0``."""
    first = cells[0]
    parts = [f"{first['episodes']} tasks of {first['targets']} target classes"]
    if "against" not in keys(cells):
        parts.append(f"negatives {plain(first['against'])}")
    if "seed" not in keys(cells):
        parts.append(f"seed {first['seed']}")
    return ", ".join([*parts, _learned(first["base"])])


def _learned(base: Cell) -> str:
    if base.get("reason"):
        return "nothing learned from base classes"
    return f"thresholds learned on {base['classes']} base classes of {plain(base['dataset'])}"
