"""Check that heads have the number of shots that they need."""

from __future__ import annotations

from collections.abc import Sequence

from fewshot.episodes.episode_set import EpisodeSet
from fewshot.exceptions import FewshotError
from fewshot.heads.base import Head
from fewshot.results.schema import LeftOut
from fewshot.units import counted


def check_least_shots(heads: Sequence[tuple[str, Head]], shots: int) -> None:
    """Raise if `shots` per class are too few for all `heads`.

    Raises
    ------
    FewshotError
        Naming the heads and what they need.
    """
    if not heads or any(head.least_shots <= shots for _, head in heads):
        return
    least = min(head.least_shots for _, head in heads)
    names = ",".join(dict.fromkeys(name for name, _ in heads))
    raise FewshotError(
        "episodes.shots",
        f"expected {least} or more for head={names}, got {shots}",
        "Raise it, or take a head that knows the classes by their names, as zero_shot does.",
    )


def left_out(heads: Sequence[tuple[str, Head]], shots: Sequence[int]) -> list[LeftOut]:
    """Combinations with too few shots: ``head``, ``shots`` and ``reason`` of each.

    Raises
    ------
    FewshotError
        No head can be evaluated with any of the numbers of shots.
    """
    check_least_shots(heads, max(shots, default=0))
    combinations: list[LeftOut] = []
    for each in dict.fromkeys(shots):
        for name, head in heads:
            if (least := head.least_shots) > each:
                reason = f"needs {counted(least, 'shot')} of every class"
                combinations.append({"head": name, "shots": each, "reason": reason})
    return combinations


def unequally_few(heads: Sequence[tuple[str, Head]], drawn: Sequence[EpisodeSet]) -> list[LeftOut]:
    """Combinations that only some classes of unequal shots have too few for, as in `left_out`.

    Raises
    ------
    FewshotError
        All heads need more than some class has, in every set.
    """
    fewest = max((episodes.fewest_shots for episodes in drawn), default=0)
    check_least_shots(heads, fewest)
    combinations: list[LeftOut] = []
    for episodes in drawn:
        for name, head in heads:
            if episodes.fewest_shots < head.least_shots <= episodes.nominal_shots:
                needs = counted(head.least_shots, "shot")
                reason = f"needs {needs} of every class; some have {episodes.fewest_shots}"
                entry: LeftOut = {"head": name, "shots": episodes.nominal_shots, "reason": reason}
                combinations += [] if entry in combinations else [entry]
    return combinations
