"""Range checks of features, and normalisation to unit length at any scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.exceptions import FewshotError, expect

if TYPE_CHECKING:
    from fewshot.features.bank import FeatureBank

# Largest number of a typical row. Below, what a penalty or a temperature in the units of the
# features is added to loses its digits in float32; above, fourth powers leave its range.
LEAST, MOST = 2.0**-10, 2.0**24
# A row so many times as large as a typical one: float32 has 24 bits, and differences from a mean
# that it is part of would be left with less than half of them.
OUTLIER = 2.0**16
# Rows that differ by a share r of their length have cosines that differ by about r^2 / 2, of which
# float32 holds few digits from here on; temperatures and steps of training do not reach them.
LEAST_SPREAD = 1.5e-3
# Share of the variance from which on a column hides all others: a hundred times their size.
DOMINANT = 0.9999
ROWS_PER_BLOCK = 65536
ROWS_COMPARED = 4096
SHORTEST = 1e-12  # rows from here on are divided by their length as it is
REMEDY = "or give every row unit length (normalize=l2)."


class Magnitudes(NamedTuple):
    """Sizes of the rows of a bank, the size of a row being its largest absolute value.

    Attributes
    ----------
    typical : float
        Median over the rows that are not zero; 0 where all are.
    largest : float
    row : int
        The first row with the largest.
    """

    typical: float
    largest: float
    row: int


def row_sizes(features: NDArray) -> NDArray:
    """Largest absolute value (M,) of every row of (M, D), float64; a map is read in blocks."""
    starts = range(0, len(features), ROWS_PER_BLOCK)
    blocks = (np.asarray(features[start : start + ROWS_PER_BLOCK]) for start in starts)
    sizes = [np.maximum(block.max(1), -block.min(1)).astype(np.float64) for block in blocks]
    return np.concatenate(sizes)


def magnitudes(sizes: NDArray) -> Magnitudes:
    """Typical and largest of the sizes of rows (M,)."""
    nonzero = sizes[sizes > 0]
    row = int(sizes.argmax())
    return Magnitudes(float(np.median(nonzero)) if len(nonzero) else 0.0, float(sizes[row]), row)


def check_range(bank: FeatureBank) -> None:
    """Raise unless heads and estimators can square the features and tell them apart.

    Rows that get unit length are always in range. Magnitudes that the extraction recorded are not
    computed again.

    Raises
    ------
    FewshotError
        All rows are the same. Without unit length: the largest absolute value of a typical row is
        below 2^-10, or that of any row above 2^24 or 2^16 times that of a typical one. With it:
        denormal numbers that have lost their digits. As the rows are used: differences among them
        so small beside their size that cosines are rounding.
    """
    expect(
        not _all_rows_equal(bank.features),
        "features",
        f"expected rows that differ, got {len(bank)} rows that are all the same",
        "Nothing can be learned from them; look at how they were made.",
    )
    if bank.normalize == "l2":
        _expect_digits(bank)
        _expect_spread(bank)
        return
    noted = bank.info.get("magnitudes")
    typical, largest, row = noted or magnitudes(row_sizes(bank.features))
    if largest > OUTLIER * typical:
        raise FewshotError(
            "features",
            f"expected rows of comparable size, got {largest:.2g} in row {row}, where rows "
            f"typically have at most {typical:.2g}",
            f"Leave such rows out, {REMEDY}",
        )
    if typical < LEAST or largest > MOST:
        raise FewshotError(
            "features",
            f"expected rows whose largest absolute value is {LEAST:.2g} to {MOST:.2g}, as heads "
            f"and estimators square them, got {typical if typical < LEAST else largest:.2g}",
            f"Multiply all features by one number, {REMEDY}",
        )
    _expect_spread(bank)


def _expect_digits(bank: FeatureBank) -> None:
    """Refuse rows that are a few steps of the denormal numbers of their dtype."""
    step = float(np.finfo(bank.features.dtype).smallest_subnormal)
    typical = magnitudes(row_sizes(_some_rows(bank))).typical
    expect(
        typical == 0 or typical >= 128 * step,
        "features",
        f"expected rows whose largest absolute value is at least {128 * step:.2g} in "
        f"{bank.features.dtype}, got {typical:.2g}, which has no digits left",
        "Save them in a wider type, or multiply them by one number before they are rounded.",
    )


def _expect_spread(bank: FeatureBank) -> None:
    """Refuse rows that differ by less of their size than cosines can tell."""
    share = spread(_some_rows(bank), bank.normalize == "l2")
    if share < LEAST_SPREAD:
        same = "point in the same direction" if bank.normalize == "l2" else "are nearly the same"
        raise FewshotError(
            "features",
            f"expected rows that differ, got rows that {same}: they differ by {share:.2g} of their "
            f"length, and heads and estimators need {LEAST_SPREAD:.2g}",
            "Subtract the mean of all rows from each (a column that is constant, or nearly so, and "
            "large hides the others).",
        )


def one_direction(bank: FeatureBank) -> bool:
    """Whether all rows point in the same direction, so that their cosines are all 1."""
    return spread(_some_rows(bank), unit=True) < LEAST_SPREAD


def dominant_column(bank: FeatureBank) -> int | None:
    """Number of a column that has nearly all of the variance of the rows as they are used; or None.

    Distances and cosines then see no other column.
    """
    rows = torch.from_numpy(_some_rows(bank).astype(np.float64))
    rows = (
        unit_length(rows) if bank.normalize == "l2" else rows / rows.abs().max().clamp_min(1e-300)
    )
    variance = rows.var(0, correction=0)
    column = int(variance.argmax())
    dominant = bank.dim > 1 and float(variance[column]) > DOMINANT * float(variance.sum())
    return column if dominant else None


def spread(features: NDArray, unit: bool) -> float:
    """Root mean square of the distances of rows (M, D) from their mean, by that of their lengths.

    Parameters
    ----------
    features : ndarray of shape (M, D)
    unit : bool
        Of the rows at unit length. Rows of zeros are left aside.

    Returns
    -------
    float
        0 for rows that are all the same, 1 for rows around zero; infinity for fewer than two.
    """
    rows = torch.from_numpy(features[features.any(1)].astype(np.float64))
    if len(rows) < 2:
        return float("inf")
    rows = unit_length(rows) if unit else rows / rows.abs().max()
    return float(((rows - rows.mean(0)).square().sum() / rows.square().sum()).sqrt())


def _some_rows(bank: FeatureBank) -> NDArray:
    """At most ROWS_COMPARED rows from all over the bank."""
    step = -(-len(bank) // ROWS_COMPARED)
    return np.asarray(bank.features[::step])


def _all_rows_equal(features: NDArray) -> bool:
    """Whether there are several rows and all are equal; usually decided by the second row."""
    first, starts = features[:1], range(0, len(features), ROWS_PER_BLOCK)
    if len(features) < 2 or not np.array_equal(features[1:2], first):
        return False
    return all((features[start : start + ROWS_PER_BLOCK] == first).all() for start in starts)


def unit_length(rows: Tensor) -> Tensor:
    """Rows (..., D) divided by their length, also if its square overflows or underflows.

    Rows of zeros stay zero.
    """
    lengths = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    result = rows / lengths.clamp_min(SHORTEST)
    unusual = ((lengths < SHORTEST) | ~lengths.isfinite())[..., 0]
    if bool(unusual.any()):
        result[unusual] = _by_largest(rows[unusual])
    return result


def _by_largest(rows: Tensor) -> Tensor:
    """Rows (n, D) of unit length, scaled by their largest value first, in float64."""
    rows64 = rows.double()
    largest = rows64.abs().amax(-1, keepdim=True)
    rows64 = rows64 / largest.masked_fill(largest == 0, 1.0)
    lengths = torch.linalg.vector_norm(rows64, dim=-1, keepdim=True)
    return (rows64 / lengths.clamp_min(SHORTEST)).to(rows.dtype)
