"""Combinations of head and shots that a run left out, and others that failed or were there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fewshot.report.wording import plain, shots_text


def left_out_text(entries: Iterable[Mapping[str, Any]]) -> str:
    """``ncm, lda with 0 shots (needs 1 shot of every class)``; empty for none.

    Parameters
    ----------
    out : iterable of mapping
        With ``head``, ``shots`` (None where there is no such thing) and ``reason``, as in
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


def failure_text(entry: Mapping[str, Any]) -> str:
    """``lda with 5 shots: ...``, of an entry of ``failed`` in ``summary.json``."""
    return f"{plain(entry['head'])} with {shots_text(int(entry['shots']))}: {plain(entry['error'])}"


def reused_text(summaries: Iterable[Mapping[str, Any]]) -> str:
    """How many cells come from earlier runs; empty where none does."""
    reused = [summary.get("reused_from") is not None for summary in summaries]
    if not any(reused):
        return ""
    many = sum(reused)
    cells = f"{many} cell{'s' * (many > 1)}"
    return f"\n\n{cells} taken from earlier runs, {len(reused) - many} computed"
