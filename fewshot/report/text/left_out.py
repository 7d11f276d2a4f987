"""Combinations of head and shots that a run left out, and others that failed or were there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fewshot.report.wording import plain, shots_text


def left_out_text(out: Iterable[Mapping[str, Any]]) -> str:
    """``ncm, lda with 0 shots (needs 1 shot of every class)``; empty for none.

    Parameters
    ----------
    out : iterable of mapping
        With ``head``, ``shots`` (None where there is no such thing) and ``reason``, as in
        ``left_out`` of ``summary.json``.
    """
    together: dict[tuple[int | None, str], list[str]] = {}
    for one in out:
        shots = one["shots"]
        where = None if shots is None else int(shots), plain(one["reason"])
        together.setdefault(where, []).append(plain(one["head"]))
    return "; ".join(
        f"{', '.join(heads)}{'' if shots is None else f' with {shots_text(shots)}'} ({reason})"
        for (shots, reason), heads in together.items()
    )


def failure_text(one: Mapping[str, Any]) -> str:
    """``lda with 5 shots: ...``, of an entry of ``failed`` in ``summary.json``."""
    return f"{plain(one['head'])} with {shots_text(int(one['shots']))}: {plain(one['error'])}"


def reused_text(summaries: Iterable[Mapping[str, Any]]) -> str:
    """How many cells come from earlier runs; empty where none does."""
    taken = [one.get("reused_from") is not None for one in summaries]
    if not any(taken):
        return ""
    many = sum(taken)
    cells = f"{many} cell{'s' * (many > 1)}"
    return f"\n\n{cells} taken from earlier runs, {len(taken) - many} computed"
