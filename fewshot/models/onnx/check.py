"""Whether an ONNX file gives what torch gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fewshot.download_errors import brief
from fewshot.exceptions import FewshotError
from fewshot.models.onnx.modules import Outputs
from fewshot.models.onnx.samples import Sample

TOLERANCE = 1e-4  # of probabilities, and of scores as a share of the largest


Reference = Callable[[Tensor], Sequence[NDArray]]


@dataclass(frozen=True)
class Comparison:
    """Largest differences between ONNX and torch.

    Attributes
    ----------
    rows : int
        Images or features that were compared.
    probabilities : float
    scores : float
        As a share of the largest score.
    """

    rows: int
    probabilities: float
    scores: float


def compare(path: Path, reference: Reference, batches: Iterator[Sample]) -> Comparison:
    """Run both on samples.

    Parameters
    ----------
    path : Path
        The ONNX file.
    reference : callable
        Inputs to probabilities (B, N), scores (B, N) and labels (B,), by torch.
    batches : iterator of Sample

    Raises
    ------
    FewshotError
        onnxruntime cannot run the file, differences above 1e-4, or other labels.
    """
    run = _session(path)
    pairs = [(reference(batch.torch), run(batch.onnx)) for batch in batches]
    ours, theirs = (_joined(side) for side in zip(*pairs, strict=True))
    return _judged(ours, theirs)


def _session(path: Path) -> Callable[[NDArray], list[NDArray]]:
    """A function that runs the ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is in the exception

    def named(error: Exception) -> FewshotError:
        return FewshotError("onnx", f"onnxruntime does not run the model: {brief(error)}")

    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class for each of its codes
        raise named(error) from error
    name = session.get_inputs()[0].name

    def run(inputs: NDArray) -> list[NDArray]:
        try:
            outputs: list[NDArray] = session.run(list(Outputs._fields), {name: inputs})
        except Exception as error:
            raise named(error) from error
        return outputs

    return run


def _joined(batches: Sequence[Sequence[NDArray]]) -> list[NDArray]:
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _judged(ours: Sequence[NDArray], theirs: Sequence[NDArray]) -> Comparison:
    """Compare outputs, in the order of `Outputs`."""
    (probable, scores, _), (probable_there, scores_there, labels_there) = ours, theirs
    size = max(float(np.abs(scores).max()), float(np.finfo(np.float32).tiny))
    comparison = Comparison(
        len(scores), _largest(probable - probable_there), _largest(scores - scores_there) / size
    )
    # Where two classes are equally probable, either is right.
    chosen = np.take_along_axis(probable, labels_there[:, None], 1)[:, 0]
    others = int((probable.max(1) - chosen > TOLERANCE).sum())
    if max(comparison.probabilities, comparison.scores) <= TOLERANCE and others == 0:
        return comparison
    raise FewshotError(
        "onnx",
        f"the exported model differs from torch: by {comparison.probabilities:.2g} in "
        f"probabilities, {comparison.scores:.2g} of the largest score, and {others} of "
        f"{comparison.rows} labels; expected at most {TOLERANCE:g} and the same labels",
        "Nothing was written.",
    )


def _largest(differences: NDArray) -> float:
    """Infinite where a difference is no number."""
    return float(np.nan_to_num(np.abs(differences), nan=np.inf).max())
