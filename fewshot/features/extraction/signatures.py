"""Signatures of images, alike for an image and its thumbnails, re-encoded and edited copies.

The lowest frequencies of the discrete cosine transform of the luminance, as in the perceptual hash
of Zauner (2010, Implementation and benchmarking of perceptual image hash functions), but as numbers
instead of bits, and the mean colour.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fewshot.features.row_keys import row_keys

FREQUENCIES = 8  # per side
COLOURS = 3
SIZE = COLOURS + FREQUENCIES**2 - 1
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FLAT = 1.0  # grey levels; below, what there is of a pattern is rounding
# How close two patterns of unit length are in images that look the same: a third of the typical
# distance to the fifth neighbour, within bounds; at `FEW_CLOSE` with too few images to know that.
CLOSEST, CLOSE, FEW_CLOSE = 0.1, 0.45, 0.22
NEIGHBOUR, TYPICAL_SHARE, SAMPLE = 5, 1 / 3, 256
COLOUR_CLOSE = 16.0  # grey levels
EXHAUSTIVE = 16384  # signatures that are compared with all others; more go by hashes
TABLES, LAGS = 16, 4
BLOCK = 1024


def signatures(images: Tensor) -> Tensor:
    """Signatures (B, 66), float16, of images (B, 3, S, S), uint8.

    The mean of every channel, then the 63 coefficients of the luminance with u, v < 8 but for the
    mean, each times its frequency sqrt(u^2 + v^2), as those of photographs fall with it. In grey
    levels: a cosine with a root mean square of 1 has the coefficient 1.
    """
    made = torch.empty((len(images), SIZE), dtype=torch.float16)
    side = images.shape[-1]
    basis, frequency = _basis(side)
    luma = torch.tensor(LUMA)
    for i, image in enumerate(images):  # one after the other stays in a core's cache
        rows = image.permute(1, 2, 0).reshape(side, -1).float()
        half = (basis @ rows).view(FREQUENCIES, side, COLOURS)
        weighted = (half @ luma @ basis.T * frequency).flatten()[1:]
        made[i, :COLOURS] = half[0].mean(0)
        made[i, COLOURS:] = weighted if float(weighted.norm()) >= FLAT else 0.0
    return made


@lru_cache(maxsize=8)
def _basis(size: int) -> tuple[Tensor, Tensor]:
    """Cosines (8, S), by which a mean over pixels gives coefficients, and frequencies (8, 8)."""
    u = torch.arange(FREQUENCIES)[:, None]
    x = (torch.arange(size) + 0.5) / size
    cosines = torch.cos(math.pi * u * x) * math.sqrt(2) / size
    cosines[0] = 1 / size
    return cosines, torch.hypot(u.float(), u.T.float())


def groups_alike(vectors: NDArray) -> NDArray:
    """Group numbers (M,) of signatures (M, 66); images of a group look the same.

    Two images do if the patterns of their signatures, at unit length, are closer than a third of
    the median distance to the fifth neighbour, and their mean colours than 16 grey levels. For
    photographs that is a distance of 0.36, a cosine of 0.94; images that are alike anyhow, as scans
    of digits are, have to be closer. Up to 16,384 different signatures are compared with all
    others, more with those that share one of 16 hashes by random hyperplanes (Charikar 2002), which
    misses next to no copy.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Equal ones first: any number of blank images is one signature then.
    _, first, group = np.unique(row_keys(vectors), return_index=True, return_inverse=True)
    distinct = vectors[first].astype(np.float32)
    pattern = distinct[:, COLOURS:]
    length = np.linalg.norm(pattern, axis=1, keepdims=True)
    unit = np.divide(pattern, length, out=np.zeros_like(pattern), where=length > 0)
    pairs = _close_pairs(unit, _limit(unit))
    colour = distinct[pairs[:, 0], :COLOURS] - distinct[pairs[:, 1], :COLOURS]
    left, right = pairs[np.sqrt((colour**2).mean(1)) <= COLOUR_CLOSE].T
    count = len(distinct)
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(count, count))
    joined = connected_components(links, directed=False)[1]
    return np.asarray(joined[group.reshape(-1)])


def _limit(unit: NDArray) -> float:
    """Distance of images that look the same, by at most 256 of the vectors (M, D)."""
    if len(unit) <= NEIGHBOUR:
        return FEW_CLOSE
    rows = np.unique(np.linspace(0, len(unit) - 1, SAMPLE).round().astype(int))
    nth = -NEIGHBOUR - 1  # the first is the vector itself
    similar = [
        np.partition(unit[block] @ unit.T, nth, axis=1)[:, nth]
        for block in np.array_split(rows, math.ceil(len(rows) / 16))
    ]
    typical = math.sqrt(max(0.0, 2 - 2 * float(np.median(np.concatenate(similar)))))
    return min(max(CLOSEST, TYPICAL_SHARE * typical), CLOSE)


def _close_pairs(unit: NDArray, limit: float) -> NDArray:
    """Pairs (P, 2) of unit vectors (M, D) that are closer than `limit`; zero vectors are in none.

    A pair may come twice.
    """
    least = 1 - limit**2 / 2
    close_pairs = [np.empty((0, 2), dtype=np.int64)]
    if len(unit) <= EXHAUSTIVE:
        for start in range(0, len(unit), BLOCK):
            rows, others = np.nonzero(unit[start : start + BLOCK] @ unit[start:].T > least)
            pairs = np.column_stack((rows, others)) + start
            close_pairs.append(pairs[pairs[:, 0] < pairs[:, 1]])
        return np.concatenate(close_pairs)
    rng = np.random.default_rng(0)
    centred = unit - unit.mean(0)  # so that a hyperplane has about half of them on either side
    bits = int(math.log2(len(unit))) - 1
    for _ in range(TABLES):
        sides = centred @ rng.standard_normal((unit.shape[1], bits)).astype(unit.dtype)
        codes = (sides > 0) @ (1 << np.arange(bits))
        order = np.lexsort((sides[:, 0], codes))
        codes = codes[order]
        for lag in range(1, LAGS + 1):
            equal = np.flatnonzero(codes[lag:] == codes[:-lag])
            left, right = order[equal], order[equal + lag]
            close = np.einsum("ij,ij->i", unit[left], unit[right]) > least
            close_pairs.append(np.column_stack((left[close], right[close])))
    return np.concatenate(close_pairs)
