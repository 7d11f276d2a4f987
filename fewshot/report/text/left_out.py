"""Texts on cells that a run left out, that failed, or that it reused."""

from __future__ import annotations

from collections.abc import Iterable

from fewshot.report.wording import plain, shots_text
from fewshot.results.schema import CellSummary, Failed, LeftOut
from fewshot.tasks.base import head_label
from fewshot.units import counted


def left_out_text(entries: Iterable[LeftOut]) -> str:
    """``ncm, lda with 0 shots (needs 1 shot of every class)``; empty for none.

    Parameters
    ----------
    entries : iterable of mapping
        With ``head``, ``shots`` (None if it does not apply) and ``reason``, as in
        ``left_out`` of ``summary.json``.
    """
    together: dict[tuple[int | None, str], list[str]] = {}
    for entry in entries:
        shots = entry["shots"]
        where = None if shots is None else int(shots), plain(entry["reason"])
        together.setdefault(where, []).append(plain(entry["head"]))
    return "; ".join(
        f"{', '.join(heads)}{'' if shots is None else f' with {shots_text(shots)}'} ({reason})"
        for (shots, reason), heads in together.items()
    )


def failure_text(entry: Failed) -> str:
    """``lda with 5 shots: ...``, from an entry of ``failed`` in ``summary.json``."""
    where = f"{head_label(entry)} with {shots_text(int(entry['shots']))}"
    return plain(f"{where}: {entry['error']}")


def reused_text(summaries: Iterable[CellSummary]) -> str:
    """A sentence with the number of cells from earlier runs; empty if there are none."""
    reused = [summary.get("reused_from") is not None for summary in summaries]
    if not any(reused):
        return ""
    count = sum(reused)
    cells = counted(count, "cell")
    return f"\n\n{cells} taken from earlier runs, {len(reused) - count} computed"
