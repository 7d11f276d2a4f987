"""Tables and sentences of one class by its name. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fewshot.report.aligned import (
    LONGEST_HEAD,
    aligned,
    legend,
    markdown,
    short,
    wrapped,
)
from fewshot.report.comparison.ahead import evenly_spaced, gap_text
from fewshot.report.wording import (
    Group,
    backbone_name,
    feature_kinds,
    group_cells,
    percent_interval,
    plain,
)
from fewshot.statistics.intervals import Difference
from fewshot.tasks.one_class.schema import OneClassSummary, ShareSummary
from fewshot.units import is_number, short_percent

KEY_TITLES = {"against": "negatives", "seed": "seed"}
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
    "two_groups": "two groups of images by their log-odds against a vocabulary, judged together",
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


def shares(cells: Iterable[OneClassSummary]) -> list[float]:
    """Shares of positives of any of the cells, in order of appearance."""
    return list(
        dict.fromkeys(entry["prevalence"] for cell in cells for entry in cell["prevalences"])
    )


def at(cell: OneClassSummary, share: float) -> ShareSummary:
    """The entry of a cell at a share of positives; empty if it has none."""
    matching = (entry for entry in cell["prevalences"] if entry["prevalence"] == share)
    empty: ShareSummary = {}
    return next(matching, empty)


def share_text(share: float) -> str:
    """``F1 at 20 %``."""
    return f"F1 at {short_percent(share, 3)}"


def source_text(source: str) -> str:
    """The source of confusers; a dash for rules without confusers."""
    return "-" if source == "none" else plain(source)


def keys(cells: Sequence[OneClassSummary]) -> list[str]:
    """Keys in which the cells differ besides rule and source."""
    return [name for name in KEY_TITLES if len({cell.get(name) for cell in cells}) > 1]


def header(cells: Sequence[OneClassSummary]) -> list[str]:
    """Names of the columns in the terminal."""
    key_titles = [KEY_TITLES[name] for name in keys(cells)]
    measured = [share_text(share) for share in shares(cells)]
    return ["rule", "confusers", *key_titles, *measured, "AUROC", "regret"]


def entries(cell: OneClassSummary, cells: Sequence[OneClassSummary]) -> list[str]:
    """Texts of the row of a cell."""
    all_shares = shares(cells)
    first = at(cell, all_shares[0])
    return [
        plain(cell["head"]),
        source_text(cell["source"]),
        *(plain(cell.get(name)) for name in keys(cells)),
        *(percent_interval(at(cell, share).get("macro_f1")) for share in all_shares),
        percent_interval(first.get("auroc")),
        percent_interval(first.get("regret")),
    ]


def about(cells: Sequence[OneClassSummary]) -> str:
    """``100 tasks of 51 target classes, negatives uniform, seed 0``."""
    first = cells[0]
    parts = [f"{first['episodes']} tasks of {first['targets']} target classes"]
    if "against" not in keys(cells):
        parts.append(f"negatives {plain(first['against'])}")
    if "seed" not in keys(cells):
        parts.append(f"seed {first['seed']}")
    return ", ".join([*parts, _learned(first["base"])])


def _learned(base: Mapping[str, Any]) -> str:
    if base.get("reason"):
        return "nothing learned from base classes"
    return f"thresholds learned on {base['classes']} base classes of {plain(base['dataset'])}"


def _verdict(gap: Difference, what: str, name: str) -> str:
    difference = f"{gap_text(gap.mean, gap.half)} points"
    clear = "clearly" if gap.above else "not clearly"
    return f"{clear} ahead of the {what}, {name} ({difference})"


def one_class_lines(cells: Sequence[OneClassSummary]) -> list[str]:
    """Sentences on the rule with the largest macro F1 at some shares of positives."""
    kinds = feature_kinds(cells)
    lines = []
    for share in evenly_spaced(shares(cells)):
        measured = [cell for cell in cells if is_number(_macro_f1(cell, share))]
        if not measured:
            continue
        best = max(measured, key=lambda cell: _macro_f1(cell, share))
        interval = percent_interval(at(best, share)["macro_f1"])
        name = f"{backbone_name(best, kinds)} with {rule_name(best['head'], best['source'])}"
        name += "".join(
            f", {word} {best.get(key)}" for key, word in KEY_TITLES.items() if key in keys(cells)
        )
        where = f"{short_percent(share, 3)} positives"
        line = f"{where}: {name}, macro F1 {interval} % over target classes"
        lines.append(line + _next_rule(best, measured, share) + ".")
    return lines


def _macro_f1(cell: OneClassSummary, share: float) -> Any:
    return (at(cell, share).get("macro_f1") or {}).get("mean")


def rule_name(head: Any, source: Any) -> str:
    """``anp (llm)``: a rule with its source of confusers, if it needs one."""
    return str(head) if source == "none" else f"{head} ({source_text(source)})"


def _next_rule(best: OneClassSummary, cells: Iterable[OneClassSummary], share: float) -> str:
    """A clause on the best of the rules that the run compared with `best`; empty if none."""
    gaps = list(_rule_gaps(best, cells, share))
    if not gaps:
        return ""
    _, name, gap = max(gaps, key=lambda entry: entry[0])
    return f"; {_verdict(gap, 'next rule that it was compared with', name)}"


def _rule_gaps(
    best: OneClassSummary, cells: Iterable[OneClassSummary], share: float
) -> Iterator[tuple[float, str, Difference]]:
    same = ("backbone", "feature", "seed", "against")
    best_rule = str(best["head"]), str(best["source"])
    for cell in cells:
        if any(cell.get(name) != best.get(name) for name in same):
            continue
        for row in cell.get("comparisons") or []:
            ends = {
                "first": (row["first"], row["first_source"]),
                "second": (row["second"], row["second_source"]),
            }
            if best_rule not in ends.values():
                continue
            sign, other = (1, ends["second"]) if ends["first"] == best_rule else (-1, ends["first"])
            intervals = [
                entry["macro_f1"] for entry in row["prevalences"] if entry["prevalence"] == share
            ]
            gap = Difference.of(intervals[0], sign=sign) if intervals else None
            if gap is not None:
                yield -gap.mean, rule_name(*other), gap


def one_class_text(cells: Sequence[OneClassSummary], *, explained: bool = True) -> str:
    """Tables of rules, a block per data set and backbone, with a legend if `explained`."""
    blocks = [_block(group, rows) for group, rows in group_cells(cells).items()]
    heads = dict.fromkeys(cell["head"] for cell in cells)
    meanings = {name: RULES[name] for name in heads if name in RULES}
    return "\n\n".join([*blocks, *([legend(meanings | MEANINGS)] if explained else [])])


def _block(group: Group, cells: Sequence[OneClassSummary]) -> str:
    texts = [entries(cell, cells) for cell in cells]
    lines = aligned([header(cells), *([short(row[0], LONGEST_HEAD), *row[1:]] for row in texts)])
    top = [group.text, *wrapped(f"One-class: {QUESTION}.", ""), about(cells), ""]
    rows = [*top, lines[0], "-" * len(lines[0]), *lines[1:]]
    rows += _fallbacks(cells)
    return "\n".join(line.rstrip() for line in rows)


def _fallbacks(cells: Sequence[OneClassSummary]) -> list[str]:
    """Lines with the number of target classes without confusers, by source."""
    lines = []
    for cell in cells:
        used = cell.get("confusers")
        if used and (fallbacks := used.get("fallbacks")):
            instead = " or ".join(dict.fromkeys(fallbacks.values()))
            words = (
                f"{cell['source']}: {len(fallbacks)} of {cell['targets']} classes without confusers"
            )
            lines += wrapped(f"  {words}, which took: {instead}", "    ")
    return ["", "Without confusers:", *lines] if lines else []


def one_class_markdown(cells: Sequence[OneClassSummary]) -> str:
    """The same numbers as a GitHub-flavoured Markdown table per data set and backbone."""
    blocks = []
    for group, rows in group_cells(cells).items():
        titles = header(rows)
        lines = [titles, ["---", *["---:"] * (len(titles) - 1)]]
        lines += [[markdown(text) for text in entries(cell, rows)] for cell in rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        blocks.append(f"**{markdown(group.text)}**, one-class, {about(rows)}\n\n{table}")
    return "\n\n".join(blocks)
