"""Settings of data sets with masks, as the loaders of their kinds take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.exceptions import expect_bool, expect_choice
from fewshot.tasks.segmentation.masks.pixels import ignored_values

if TYPE_CHECKING:
    from fewshot.paths import Places


@dataclass(frozen=True)
class MaskOptions:
    """Checked settings of masks, and where things are kept.

    Attributes
    ----------
    name : str or None
        Of the data set.
    binary, ignore_index, reduce_zero_label, palette, group, on_error, max_pixels
        See :class:`~fewshot.datasets.settings.MaskSettings` and ``DatasetSettings``.
    annotations, classnames : str or None
    data : Path or None
        Folder of data sets.
    digests : Path or None
        Folder of remembered content hashes.
    cache : Path or None
        Folder of remembered numbers of pixels.
    """

    name: str | None = None
    binary: bool = False
    ignore_index: int | list[int] | None = 255
    reduce_zero_label: bool = False
    palette: str | Mapping[str, Any] | None = None
    group: str | None = None
    on_error: str = "raise"
    max_pixels: int | None = None
    annotations: str | None = None
    classnames: str | None = "auto"
    data: Path | None = None
    digests: Path | None = None
    cache: Path | None = None


def options_of(settings: Mapping[str, Any], places: Places | None = None) -> MaskOptions:
    """The settings of the group ``dataset`` that concern masks.

    Raises
    ------
    FewshotError
        One of a wrong type.
    """
    named = MaskOptions.__dataclass_fields__.keys() - {"data", "digests", "cache"}
    values = {key: settings[key] for key in named if key in settings}
    options = MaskOptions(
        **values,
        data=places.data if places else None,
        digests=places.digests if places else None,
        cache=places.cache / "masks" if places else None,
    )
    expect_choice("dataset.on_error", options.on_error, ("raise", "skip"))
    expect_bool("dataset.binary", options.binary)
    expect_bool("dataset.reduce_zero_label", options.reduce_zero_label)
    ignored_values(options.ignore_index)
    return options
