"""Pictures of the worst, a median and the best query of a cell's first draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fewshot.results.result import Result
from fewshot.tasks.segmentation.annotated import Recent, as_draw_knows
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, Tokens
from fewshot.tasks.segmentation.judging import FittedCell, read
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.pictures import triptych
from fewshot.tasks.segmentation.schema import EXAMPLES
from fewshot.tasks.segmentation.stacking import HeadStack


def add_pictures(
    cells: Sequence[tuple[FittedCell, Result]],
    dataset: MaskDataset,
    features: DenseFeatures,
    device: torch.device,
    most: int,
) -> None:
    """Fill the column ``picture`` of the examples of the first draw of every cell.

    Parameters
    ----------
    cells : sequence of (FittedCell, Result)
    dataset : MaskDataset
    features : DenseFeatures
    device : torch.device
    most : int
        Pictures of a cell; the worst first.
    """
    rows = {path: row for row, path in enumerate(dataset.images.paths)}
    tokens = Recent()
    for cell, result in cells:
        examples, drawn = result.tables[EXAMPLES.name], cell.drawn
        stack = HeadStack(cell.heads[:1], drawn.ways, device)
        background = 0 if drawn.has_background else None
        if dataset.background is not None and background is None:
            number = int(drawn.labels[0, dataset.background])
            background = number if number >= 0 else None
        shown: dict[str, str] = {}
        of_first = examples.index[examples["episode"] == 0]
        for file in examples.loc[of_first, "file"].astype(str):
            if file not in shown and len(shown) < most:
                shown[file] = _picture(
                    dataset, features, stack, drawn.labels[0], background, rows[file], tokens
                )
        examples.loc[of_first, "picture"] = [
            shown.get(file, "") for file in examples.loc[of_first, "file"].astype(str)
        ]


def _picture(
    dataset: MaskDataset,
    features: DenseFeatures,
    stack: HeadStack,
    labels: NDArray[np.int64],
    background: int | None,
    row: int,
    remembered: Recent,
) -> str:
    image = read(dataset, row)
    tokens: Tokens = remembered.get(
        row, lambda: features.tokens(image), lambda t: int(t.features.nbytes)
    )
    truth = as_draw_knows(dataset.read_mask(row), labels)
    return triptych(image, truth, stack.segmented(tokens, 0).numpy(), background=background)
