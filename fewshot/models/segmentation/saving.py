"""Write a segmentation model as a file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.exceptions import FewshotError
from fewshot.models.file import as_packed, model_to_write, write_model
from fewshot.models.header import fault_of
from fewshot.models.saving import weights_to_save
from fewshot.models.segmentation.card import mask_card
from fewshot.models.segmentation.note import KEY, noted
from fewshot.tasks.segmentation.heads.state import state_of

if TYPE_CHECKING:
    from fewshot.models.segmentation.segmenter import Segmenter

PREFIX = "head."  # of the tensors of the head


def save_segmenter(segmenter: Segmenter, path: str | Path, with_weights: bool = False) -> None:
    """Write it to a file.

    Raises
    ------
    FewshotError
        A head that cannot be saved, or a file that cannot be written.
    """
    target = model_to_write("path", path)
    state = state_of(segmenter.head)
    note = replace(noted(segmenter.dense, segmenter.predicted), state=state.values)
    backbone = segmenter.features.backbone
    header, weights = weights_to_save(segmenter.header_, backbone, with_weights)
    card = mask_card(header, note)
    header = replace(header, values={KEY: asdict(note)}, card=card)
    fault = fault_of(header)
    if fault is not None:
        raise FewshotError("model", f"expected one that can be loaded again: {fault}")
    tensors = {PREFIX + name: values for name, values in state.tensors.items()}
    write_model(target, header, tensors | as_packed(weights))
