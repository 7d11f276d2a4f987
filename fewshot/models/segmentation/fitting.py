"""Fit a segmentation model on annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fewshot.evaluation.inputs import BACKBONE
from fewshot.evaluation.mask_source import ESTIMATOR, HEAD, dense_head, folders_of, mask_source
from fewshot.evaluation.named import registered_name
from fewshot.exceptions import FewshotError
from fewshot.importing import origin_of
from fewshot.models.header import Header
from fewshot.models.segmentation.note import DenseNote
from fewshot.models.segmentation.segmenter import Segmenter
from fewshot.models.taken import backbone_note, versions
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures
from fewshot.tasks.segmentation.estimators.base import SegmentationPrediction
from fewshot.tasks.segmentation.estimators.leave_out import LeaveOneImageOut
from fewshot.tasks.segmentation.fitted import Annotated, annotated
from fewshot.tasks.segmentation.fitting import DrawFit
from fewshot.tasks.segmentation.heads import heads
from fewshot.tasks.segmentation.heads.base import DenseHead, LinearDenseHead
from fewshot.tasks.segmentation.heads.state import (
    ATTRIBUTES,
    LINEAR,
    on_device,
    plain_parameters,
    restored,
    state_of,
)
from fewshot.tasks.segmentation.schema import NAME
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.tasks.segmentation.source import MaskSource


def fit_segmenter(
    images: Any,
    head: str | DenseHead | None = None,
    *,
    backbone: str | None = None,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
    prediction: bool = True,
    device: str = "auto",
    weights: str | Path | None = None,
    threads: int | None = None,
    seed: int = 0,
) -> Segmenter:
    """Fit a head on annotated images, to save and to segment others with.

    It is fitted on those of ``train.txt``, or on all where there is none.

    Parameters
    ----------
    images : str, Path or MaskDataset
        Annotated images: a folder with ``images/`` and ``masks/``, or a name of ``fewshot list
        datasets``.
    head, backbone, options, settings, device, weights, threads, seed
        See `fewshot.segment`.
    prediction : bool
        Whether the mIoU is predicted, for which the head is fitted once without every image: when
        it is asked for, or saved.

    Raises
    ------
    FewshotError
        No masks there, masks that do not fit, an unknown head or backbone.
    """
    named = dense_head(HEAD if head is None else head, settings)
    network = BACKBONE if backbone is None else backbone
    source, section = mask_source(
        images, argument="images", backbone=network, options=options, settings=settings,
        device=device, weights=weights,
    )  # fmt: skip
    return fitted_segmenter(
        named, network, source, section, threads=threads, seed=seed, prediction=prediction
    )


def fitted_segmenter(
    named: tuple[str, DenseHead],
    backbone: str,
    source: MaskSource,
    section: SegmentationSettings,
    *,
    threads: int | None = None,
    seed: int = 0,
    prediction: bool = True,
) -> Segmenter:
    """A head fitted on all annotated images of a source.

    Parameters
    ----------
    named : (str, DenseHead)
        Name and head, unfitted.
    backbone : str
        As it was asked for.
    source, section
        See `fewshot.evaluation.mask_source.mask_source`.
    threads, seed, prediction
        See `fit_segmenter`.
    """
    support = annotated(source, section, threads)
    fits = support.fit([named[1]], seed).fits
    features, dataset = support.features, support.dataset
    layers = section.layers if isinstance(section.layers, str) else tuple(section.layers)
    note = DenseNote(
        str(features.size), features.stride, layers, dataset.background, len(support.rows),
        section.level, named[0],
    )  # fmt: skip
    return Segmenter(
        _portable(fits.heads[0], features, len(dataset.classnames)),
        _header(fits.heads[0], source, support, backbone),
        note,
        features,
        partial(_predicted, fits, section.level) if prediction else lambda: None,
        support,
        fits,
        folders_of(source),
    )


def _portable(head: DenseHead, features: DenseFeatures, classes: int) -> DenseHead:
    """The head as it is after loading, to the last bit; itself where it cannot be saved."""
    try:
        state = state_of(head)
    except FewshotError:  # raised again when it is to be saved
        return head
    chosen = head.delegate()
    kind = None if state.form == LINEAR else type(chosen)
    made = restored(kind, chosen.get_params(), state, classes, features.dim)
    return on_device(made, features.device)


def _predicted(fits: DrawFit, level: float) -> SegmentationPrediction:
    (predictions,) = fits.predictions({ESTIMATOR: LeaveOneImageOut()}, level)
    return predictions[ESTIMATOR]


def _header(head: DenseHead, source: MaskSource, support: Annotated, backbone: str) -> Header:
    """What is written of it, without what it learnt and what is predicted of it."""
    dataset, chosen = support.dataset, head.delegate()
    network, settings = support.features.backbone, source.settings["backbone"]
    counts = map(int, support.images_by_class())
    return Header(
        task=NAME,
        classes=dataset.classnames,
        images=dict(zip(dataset.classnames, counts, strict=True)),
        head={
            "name": registered_name(chosen, heads),
            "parameters": plain_parameters(chosen),
            "form": LINEAR if isinstance(chosen, LinearDenseHead) else ATTRIBUTES,
            "target": origin_of(type(chosen)),
        },
        backbone=backbone_note(network, backbone, settings, "float32", support.features.dim),
        normalize="none",
        error=None,
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=dataset.name,
    )
