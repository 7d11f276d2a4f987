"""Combinations of head and shots that a run left out. Standard library only."""

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
