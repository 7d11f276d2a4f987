"""Output of ``fewshot oneclass`` as text and as JSON. Standard library only."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fewshot.report.wording import plain
from fewshot.units import counted

if TYPE_CHECKING:
    from fewshot.tasks.one_class.decide import Verdict

WIDTH = 100
NO_FIXED = (
    "No fixed threshold is known, so that images of something else altogether are held against "
    "random names at best. --threshold-from DIR learns one from labelled images of other classes."
)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict in JSON types, as described in docs/one-class.md."""
    from fewshot import __version__

    return {
        "fewshot": __version__,
        "class": verdict.word,
        "backbone": verdict.backbone,
        "rule": verdict.rule.name,
        "stand_in": verdict.stand_in,
        "share": verdict.share,
        "fixed": verdict.learned.fixed,
        "learned": verdict.learned.record,
        "confusers": {
            "used": list(verdict.lists.names[0]),
            "dropped": [confuser._asdict() for confuser in verdict.lists.dropped[0]],
            "record": verdict.lists.record,
        },
        "counts": {"images": verdict.total, "yes": verdict.accepted},
        "images": verdict.rows(),
        "skipped": verdict.skipped,
    }


def in_words(verdict: Verdict) -> str:
    """The verdict as text: a table of the images, highest score first, and what led to it."""
    rows = verdict.rows()
    parts = [_head(verdict), _table(rows), _counts(verdict)]
    skipped = [f"{entry['path']} ({entry['reason']})" for entry in verdict.skipped]
    if skipped:
        parts.append("\n".join(["Not judged:", *(f"  {plain(entry)}" for entry in skipped)]))
    parts.append(_confusers(verdict))
    if verdict.learned.fixed is None and "random" in verdict.rule.needs | {verdict.rule.name}:
        parts.append(textwrap.fill(NO_FIXED, WIDTH))
    return "\n\n".join(filter(None, parts))


def _counts(verdict: Verdict) -> str:
    text = f"{verdict.accepted} of {counted(verdict.total, 'image')}: yes"
    if verdict.share is not None:
        text += f", for a share of {verdict.share:g}"
    hidden = verdict.total - len(verdict.paths)
    return f"{text}; the first {len(verdict.paths)} are shown." if hidden else f"{text}."


def _head(verdict: Verdict) -> str:
    rule, fixed = verdict.rule, verdict.learned.fixed
    text = f'Is it "{plain(verdict.word)}"? {plain(verdict.backbone)}, rule {rule.name}'
    if fixed is not None and ("fixed" in rule.needs or verdict.stand_in):
        classes = verdict.learned.record.get("classes")
        user_set = verdict.learned.record.get("fixed") == "given"
        origin = "given" if user_set or not classes else f"learned on {len(classes)} other classes"
        text += f", fixed threshold {fixed:.3f} ({origin})"
    return text


def _table(rows: Sequence[dict[str, Any]]) -> str:
    has_posterior = any(row["posterior"] is not None for row in rows)
    header = f"       score{'  posterior' * has_posterior}  image"
    lines = [header]
    for row in rows:
        chance = f"  {row['posterior']:9.2f}" if has_posterior else ""
        decision = "yes" if row["yes"] else "no"
        lines.append(f"{decision:<4} {row['score']:+7.3f}{chance}  {plain(row['file'])}")
    return "\n".join(lines) if rows else ""


def _confusers(verdict: Verdict) -> str:
    names, dropped, record = verdict.lists.names[0], verdict.lists.dropped[0], verdict.lists.record
    origin = [str(record[key]) for key in ("source", "dataset", "model") if record.get(key)]
    used = ", ".join(map(plain, names)) or f"none; {verdict.stand_in} stands in for them"
    lines = [f"Compared with ({plain(', '.join(origin))}): {used}."]
    if dropped:
        reasons = "; ".join(
            f"{plain(confuser.name)} ({plain(confuser.reason)})" for confuser in dropped
        )
        lines.append(f"Not used: {reasons}.")
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)
