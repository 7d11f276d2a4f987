"""Annotated images of a folder with their backbone, and heads by name, as users give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.backbones.settings import backbone_settings
from fewshot.config.compose import settings_from
from fewshot.config.nodes import options_of
from fewshot.evaluation.inputs import BACKBONE
from fewshot.evaluation.named import create_objects, named_head
from fewshot.exceptions import FewshotError, expect, suggestion
from fewshot.hardware import device_named
from fewshot.importing import is_target
from fewshot.tasks import task_named
from fewshot.tasks.segmentation.heads.base import DenseHead
from fewshot.tasks.segmentation.masks.base import MaskDataset
from fewshot.tasks.segmentation.schema import NAME
from fewshot.tasks.segmentation.settings import SegmentationSettings
from fewshot.tasks.segmentation.source import MaskSource

HEAD = "pixel_lda"
ESTIMATOR = "loo_image"


def mask_source(
    like: Any,
    *,
    argument: str = "like",
    backbone: str = BACKBONE,
    options: dict[str, Any] | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    weights: str | Path | None = None,
) -> tuple[MaskSource, SegmentationSettings]:
    """Annotated images and their backbone, and the settings of segmentation.

    Parameters
    ----------
    like : str, Path or MaskDataset
        A folder with ``images/`` and ``masks/``, or a name of ``fewshot list datasets``.
    argument : str
        Name of `like` for errors.
    backbone, options, settings, device, weights
        See `fewshot.segment`.

    Raises
    ------
    FewshotError
        Nothing of that kind, or settings that there are not.
    """
    words = [f"task={NAME}"]
    given: MaskDataset | None = None
    if isinstance(like, MaskDataset):
        given = like
    elif Path(str(like)).expanduser().is_dir():
        words += ["dataset=folder", f"dataset.root={like}"]
    elif isinstance(like, str) and (like in options_of("dataset") or is_target(like)):
        words.append(f"dataset={like}")
    else:
        raise FewshotError(
            argument,
            "expected a folder with images/ and masks/, a MaskDataset or a name of `fewshot list "
            f"datasets`, got {like!r}",
            suggestion(str(like), options_of("dataset")) if str(like).isidentifier() else "",
        )
    if weights is not None:
        words.append(f"paths.weights={weights}")
    own = [word for word in settings if not word.startswith("head.")]
    composed = settings_from([*words, *own])
    composed["backbone"] = backbone_settings(backbone)
    section = SegmentationSettings.of(composed[NAME] | dict(options or {}))
    return MaskSource(composed, device_named(device), given), section


def dense_head(head: str | DenseHead, settings: Sequence[str]) -> tuple[str, DenseHead]:
    """Name and object of a head; a name has the settings ``head.NAME``."""
    registry = task_named(NAME).registry("head")
    own = [word for word in settings if word.startswith("head.")]
    if not isinstance(head, str) or not own:
        expect(not own, "head", "expected the name of a head with settings of it")
        return named_head(head, registry)
    composed = settings_from([f"task={NAME}", f"head={head}", *own])["head"]
    ((name, made),) = create_objects(registry, composed).items()
    return name, made


def folders_of(source: MaskSource) -> tuple[Path, ...]:
    """Folders of the annotated images and masks; none of a data set that is no folder."""
    root, dataset = source.settings["dataset"].get("root"), source.load()
    if root is None:
        return ()
    files = (*dataset.images.paths, *dataset.masks)
    return tuple({(Path(str(root)).expanduser() / file).parent for file in files})
