"""Rank correlation of predicted and actual errors, with its interval and its wording.

The mean absolute error does not measure it: an estimator that predicts the same error for every
episode has a small one where episodes differ little. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from fewshot.report.wording import best_estimator, notes_of, shown_estimator
from fewshot.tasks.classification.schema import ClassificationSummary, EstimatorSummary
from fewshot.units import decimal, is_number, joined

BASELINE = "constant"
LEVEL = 0.95
FEWEST_PAIRS = 4  # Fisher's z has a variance from here on
NO_ORDER = "all predictions, or all errors, are the same"
FEW = 30  # episodes, below which a rank correlation of 0.3 is usual by chance


class Order(NamedTuple):
    """Spearman's correlation of predicted and actual errors over the episodes of a cell.

    Attributes
    ----------
    rho, lower, upper : float or None
        With its 95 % interval over episodes; None where it is undefined.
    episodes : int
        Number of episodes with both errors.
    """

    rho: float | None
    lower: float | None
    upper: float | None
    episodes: int

    @property
    def positive(self) -> bool:
        """Whether the interval lies above 0: harder episodes are predicted to be harder."""
        return self.lower is not None and self.lower > 0

    @property
    def bounds(self) -> list[float] | None:
        """``[lower, upper]``, None if undefined."""
        return None if self.lower is None or self.upper is None else [self.lower, self.upper]


def spearman_interval(rho: float, count: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of Spearman's rank correlation of `count` pairs, by Fisher's z.

    ``tanh(atanh(rho) +- q sqrt((1 + rho^2 / 2) / (count - 3)))`` with the normal quantile q and the
    variance of Bonett and Wright (2000, Psychometrika 65, equation 11). A perfect order counts as
    one in which two neighbours have changed places, as it would otherwise have no width however
    few the pairs are.

    Parameters
    ----------
    rho : float in [-1, 1]
    count : int
        At least 4.
    level : float in (0, 1)

    Returns
    -------
    lower, upper : float in [-1, 1]
        `rho` is within.

    Examples
    --------
    >>> lower, upper = spearman_interval(0.5, 103)
    >>> round(lower, 2), round(upper, 2)
    (0.33, 0.64)
    """
    if count < FEWEST_PAIRS:
        raise ValueError(f"count: expected {FEWEST_PAIRS} or more, got {count}")
    most = 1 - 12 / (count * (count**2 - 1))  # two neighbours changed
    z = math.atanh(max(-most, min(most, rho)))
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt((1 + rho**2 / 2) / (count - 3))
    return min(rho, math.tanh(z - half)), max(rho, math.tanh(z + half))


def order_of(rows: Sequence[EstimatorSummary]) -> Order:
    """Rank correlation of one estimator over cells that differ in their seed only.

    Parameters
    ----------
    rows : sequence of dict
        Of one estimator in ``estimators`` of each cell. Over several, Fisher's z of each is
        weighted by the inverse of its variance.
    """
    count = sum(int(row.get("defined") or 0) for row in rows)
    pairs = [
        (float(rho), int(row.get("defined") or 0))
        for row in rows
        if is_number(rho := row.get("spearman"))
    ]
    pairs = [pair for pair in pairs if pair[1] >= FEWEST_PAIRS]
    if not pairs:
        return Order(None, None, None, count)
    joined, total = _joined(pairs)
    lower, upper = spearman_interval(joined, total)
    return Order(joined, lower, upper, count)


def _joined(pairs: Sequence[tuple[float, int]]) -> tuple[float, int]:
    """Pooled correlation, and the number of episodes with the same variance of Fisher's z."""
    if len(pairs) == 1:
        return pairs[0]
    weights = [count - 3 for _, count in pairs]
    bounded = [max(-0.9999, min(0.9999, rho)) for rho, _ in pairs]
    z = sum(w * math.atanh(rho) for w, rho in zip(weights, bounded, strict=True)) / sum(weights)
    return math.tanh(z), sum(weights) + 3


def order_text(order: Order) -> str:
    """A sentence: ``It does not tell these episodes apart (Spearman 0.02, -0.11 to 0.15): ...``."""
    if order.episodes < FEWEST_PAIRS:
        few_episodes = f"{order.episodes} episode{'s are' if order.episodes != 1 else ' is'}"
        return f"{few_episodes} too few to show whether it tells harder ones from easier ones."
    if order.rho is None:
        return f"It does not tell these episodes apart: {NO_ORDER}."
    bounds = f"{decimal(order.lower)} to {decimal(order.upper)}"
    measured = f"Spearman {decimal(order.rho)}, {bounds}"
    if order.positive:
        return f"It tells harder episodes from easier ones ({measured}; 1 is the right order)."
    if order.upper is not None and order.upper < 0:
        return f"It takes harder episodes for easier ones ({measured})."
    few = f"; {order.episodes} episodes are few" if order.episodes < FEW else ""
    return (
        f"It does not tell these episodes apart ({measured}{few}): it knows their average at most."
    )


def order_by_ways_text(orders: Mapping[int, Order], pooled: Order) -> str:
    """A sentence on several numbers of ways: ``It tells harder episodes from easier ones: ...``.

    Parameters
    ----------
    orders : mapping of int to Order
        Within each number of ways.
    pooled : Order
        Over the episodes of all of them. Errors rise with the ways, which alone is an order.
    """
    apart = [f"{ways}-way" for ways, order in orders.items() if order.positive]
    rest = [f"{ways}-way" for ways, order in orders.items() if not order.positive]
    text = "It does not tell episodes of the same ways apart"
    if apart:
        text = "It tells harder episodes from easier ones"
        text += f" at {joined(apart)}, but not at {joined(rest)}" if rest else ""
    undefined = all(order.rho is None for order in orders.values())
    if undefined:
        text += f": {NO_ORDER}"
    else:
        measured = (f"{_measured(order)} at {ways}-way" for ways, order in orders.items())
        text += f": Spearman's correlation is {', '.join(measured)}"
    if pooled.rho is None:
        return f"{text}."
    share = "in part" if apart else "only" if undefined else "mainly"
    of_all = "Spearman's correlation over all of them is " if undefined else "over all of them "
    return f"{text}; {of_all}{_measured(pooled)}, {share} because the ways differ."


def _measured(order: Order) -> str:
    """``0.59 (0.53 to 0.64)``."""
    if order.rho is None:
        return f"undefined ({NO_ORDER})"
    return f"{decimal(order.rho)} ({decimal(order.lower)} to {decimal(order.upper)})"


def brief_order_text(order: Order) -> str:
    """A clause: ``does not tell these episodes apart (Spearman 0.02)``."""
    if order.episodes < FEWEST_PAIRS:
        return "too few episodes to show whether it tells them apart"
    rho = "" if order.rho is None else f" (Spearman {decimal(order.rho)})"
    if order.positive:
        return f"tells harder episodes from easier ones{rho}"
    if order.upper is not None and order.upper < 0:
        return f"takes harder episodes for easier ones{rho}"
    return f"does not tell these episodes apart{rho}"


def no_order_notes(cells: Iterable[ClassificationSummary]) -> list[tuple[str, str, str]]:
    """Cells in which the recommended or the best estimator has no positive rank correlation.

    Returns
    -------
    list of (estimator, where, reason)
        Equal cells joined; the constant baseline, which has none by design, is left out.
    """

    def count(cell: ClassificationSummary, name: str) -> int:
        if name == BASELINE or name not in (shown_estimator(cell), best_estimator(cell)):
            return 0
        order = order_of([cell["estimators"][name]])
        return 0 if order.positive or order.episodes < FEWEST_PAIRS else int(cell["episodes"])

    return notes_of(cells, count, _no_order)


def _no_order(row: EstimatorSummary) -> str:
    order = order_of([row])
    if order.rho is None:
        return NO_ORDER
    if order.upper is not None and order.upper < 0:
        return "harder episodes are predicted to be easier (Spearman below 0)"
    return "the interval of Spearman's correlation holds 0, so that it knows their average at most"
