"""Write a segmentation model as a file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.files import path_of
from fewshot.models.file import write_model
from fewshot.models.segmentation.note import KEY, PredictionNote
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
    if with_weights:
        raise NotImplementedError
    target = path_of("path", path)
    state = state_of(segmenter.head)
    predicted = segmenter.predicted
    prediction = None if predicted is None else PredictionNote.of(predicted)
    note = replace(segmenter.dense, state=state.values, prediction=prediction)
    header = replace(segmenter.header_, values={KEY: asdict(note)})
    write_model(target, header, {PREFIX + name: t for name, t in state.tensors.items()})
