"""Seconds to find the names of a vocabulary nearest to every class, by faiss and without it.

    python benchmarks/nearest_names.py

`nearest_names` is what the source ``vocabulary`` of confusers calls; the others sort all cosines,
or take the largest of them, from a matrix of classes times names. All give the same names.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from common import best_of, write
from torch.nn.functional import normalize

from fewshot.tasks import nearest_names

SIZES = ((100, 1_000, 384), (1_000, 80_000, 384))  # classes, names, dimensions
K = 50


def measure(classes: int, vocabulary: int, dim: int) -> dict[str, Any]:
    """Seconds of the three ways for one size, the shortest of several turns."""
    generator = torch.Generator().manual_seed(0)
    rows = normalize(torch.randn(classes, dim, generator=generator), dim=1)
    words = normalize(torch.randn(vocabulary, dim, generator=generator), dim=1)
    names = [str(number) for number in range(vocabulary)]

    def by_sorting() -> list[list[str]]:
        order = (rows @ words.T).argsort(dim=-1, descending=True, stable=True)[:, :K]
        return [[names[n] for n in row] for row in order.tolist()]

    def by_topk() -> list[list[str]]:
        return [[names[n] for n in row] for row in (rows @ words.T).topk(K).indices.tolist()]

    ours = nearest_names(rows, words, names, K)
    same = sum(len({*a} & {*b}) for a, b in zip(ours, by_sorting(), strict=True))
    assert same == classes * K, "the names differ"
    ways = {
        "faiss (s)": lambda: nearest_names(rows, words, names, K),
        "sorting (s)": by_sorting,
        "topk (s)": by_topk,
    }
    seconds = {name: f"{best_of(way)[0]:.4f}" for name, way in ways.items()}
    return {"classes": classes, "names": vocabulary, "dimensions": dim} | seconds


def main() -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE")
    write(parser.parse_args().json, [measure(*size) for size in SIZES])


if __name__ == "__main__":
    main()
