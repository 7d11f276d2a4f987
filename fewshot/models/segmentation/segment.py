"""Segment images, as annotated ones are or by a model that was fitted on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.evaluation.inputs import BACKBONE
from fewshot.evaluation.mask_source import HEAD, dense_head, folders_of, mask_source
from fewshot.exceptions import FewshotError, expect
from fewshot.models.loading import load
from fewshot.models.segmentation.fitting import fitted_segmenter
from fewshot.models.segmentation.segmenter import Segmenter
from fewshot.models.segmentation.segments import CLASSES, NewImages, Segments
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.source import MaskSource


def segment(
    images: Any,
    like: Any,
    head: str | DenseHead | None = None,
    *,
    out: str | Path | None = None,
    overlay: bool = False,
    backbone: str | None = None,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
    on_error: str = "raise",
    device: str = "auto",
    weights: str | Path | None = None,
    threads: int | None = None,
    seed: int = 0,
) -> Segments:
    """Segment images as the annotated ones of a folder are, or by a model that was fitted on them.

    A head is fitted on all annotated images: those of ``train.txt``, or all where there is none.

    Parameters
    ----------
    images : str, Path, or several of them
        Image files, and folders of them at any depth.
    like : str, Path, MaskDataset or Segmenter
        Annotated images: a folder with ``images/`` and ``masks/``, or a name of ``fewshot list
        datasets``. Or a model of `fewshot.fit`, or its file, which need no annotated image.
    head : str or DenseHead, optional
        A name of ``fewshot list heads --task segmentation``, or an object; "auto" chooses among
        several by leaving annotated images out. "pixel_lda" by default. A model has its own, which
        is named again if it is code of yours and not linear.
    out : str or Path, optional
        Folder to which the masks are written at once, as `Segments.save` does later.
    overlay : bool
        Whether overlays are written, too.
    backbone : str, optional
        A name of ``fewshot list backbones``; EfficientNet-Lite0 by default. A model has its own,
        which is named again if it is code of yours.
    options : dict, optional
        The section ``segmentation`` of ``fewshot --cfg job``: {"size": "short:384"}.
    settings : sequence of str
        Further SETTING=VALUE, as "dataset.binary=true".
    on_error : {"raise", "skip"}
        What to do about images that cannot be read.
    device : str
    weights : str or Path, optional
        Where weights are looked for first.
    threads : int, optional
        Cores to use; all by default.
    seed : int
        Of what is random in the head.

    Returns
    -------
    Segments
        ``.save(folder)`` writes the masks, ``.mask(row)`` is one of them, ``.table`` has the
        shares of the classes, ``.predicted`` the mIoU that is predicted.

    Raises
    ------
    FewshotError
        No images or masks there, masks that do not fit, an unknown head or backbone.

    Examples
    --------
    >>> import fewshot  # doctest: +SKIP
    >>> fewshot.segment("new_images", like="annotated", out="masks").table  # doctest: +SKIP
    """
    new = NewImages.of(images, on_error)
    if isinstance(like, Segmenter) or _is_file(like):
        _expect_none(options=options, settings=settings)
        segmenter = _model(like, device, weights, backbone, head)
        new.check_target(out, segmenter.classnames, segmenter.sources)
    else:
        named = dense_head(HEAD if head is None else head, settings)
        network = BACKBONE if backbone is None else backbone
        source, section = mask_source(
            like, backbone=network, options=options, settings=settings, device=device,
            weights=weights,
        )  # fmt: skip
        _expect_not_annotated(out, source)
        new.check_target(out, None, folders_of(source))  # fails before any work
        segmenter = fitted_segmenter(named, network, source, section, threads=threads, seed=seed)
        new.check_target(out, segmenter.classnames)
    return segmenter.segments(new, out, overlay=overlay, threads=threads)


def _is_file(like: Any) -> bool:
    return isinstance(like, str | Path) and Path(like).expanduser().is_file()


def _model(
    like: Any,
    device: str,
    weights: str | Path | None,
    backbone: str | None,
    head: str | DenseHead | None,
) -> Segmenter:
    if isinstance(like, Segmenter):
        _expect_none(backbone=backbone, head=head)
        return like
    try:
        model = load(like, device=device, weights=weights, backbone=backbone, head=head)
    except FewshotError as error:
        argument = "like" if error.argument == "path" else error.argument
        raise FewshotError(argument, error.problem, error.remedy) from None
    if not isinstance(model, Segmenter):
        raise FewshotError(
            "like",
            f"expected a model for segmentation, got one for classification: {like}",
            f"Label images by it: fewshot classify {like} IMAGES.",
        )
    return model


def _expect_none(**arguments: Any) -> None:
    """Raise for what decides how a model is fitted, where one is there."""
    for name, value in arguments.items():
        expect(
            value is None or value in ({}, ()) or value == [],
            name,
            "expected none with a fitted model, which has its own",
            "Fit another one with it.",
        )


def _expect_not_annotated(out: str | Path | None, source: MaskSource) -> None:
    """Raise if masks are to be written among the lists and class names of the annotated images."""
    root = source.settings["dataset"].get("root")
    if root is None or out is None:
        return
    same = os.path.realpath(Path(out).expanduser()) == os.path.realpath(Path(root).expanduser())
    expect(
        not same,
        "out",
        f"expected another folder than that of the annotated images, got {out}",
        f"Its {CLASSES} would be written over.",
    )
