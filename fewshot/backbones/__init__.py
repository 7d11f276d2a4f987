"""Frozen networks that turn images into features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.backbones.settings import BackboneSettings, backbone_settings
from fewshot.backbones.sources import kinds
from fewshot.lazy import lazy

if TYPE_CHECKING:
    from fewshot.backbones.base import Backbone as Backbone
    from fewshot.backbones.base import Folders as Folders
    from fewshot.backbones.transform import Transform as Transform

COMMON = frozenset(BackboneSettings.__annotations__)
# Former names of kinds, for saved settings.
RENAMED = {"efficientnet_lite": "packaged"}


def load_backbone(
    settings: str | Mapping[str, Any], folders: Folders, **input_size: Any
) -> Backbone:
    """Describe a backbone; nothing is loaded or downloaded yet.

    Parameters
    ----------
    settings : str or mapping
        A name of ``fewshot list backbones``, ``module:factory``, or the settings of the group
        ``backbone``.
    folders : Folders
    **input_size
        ``size`` and ``crop_pct`` that the data set asks for; the settings' own ``size`` wins.
    """
    settings = backbone_settings(settings) if isinstance(settings, str) else dict(settings)
    parameters = {key: value for key, value in settings.items() if key not in COMMON}
    kind = RENAMED.get(settings["kind"], settings["kind"])
    parameters = {key: value for key, value in parameters.items() if value is not None}
    entry = kinds[kind]
    backbone: Backbone
    if entry.package is None:
        backbone = kinds.create(kind, folders=folders, **parameters)
    else:
        from fewshot.backbones.plugged import create

        backbone = create(entry, folders, parameters)
    if "size" not in parameters:
        backbone.with_input(**input_size)
    return backbone


def load(
    name: str, *, weights: str | Path | None = None, size: int | None = None, **settings: Any
) -> Backbone:
    """Describe a backbone by its name; its weights are loaded on first use.

    Parameters
    ----------
    name : str
        A name of ``fewshot list backbones``, ``timm:MODEL``, ``torchvision:MODEL/PRETRAINED``,
        ``open_clip:MODEL/PRETRAINED``, ``resnet12:FILE``, ``callable:MODULE:FUNCTION`` or
        ``MODULE:FUNCTION``.
    weights : str or Path, optional
        Folder where weights are looked for first.
    size : int, optional
        Input of the network in pixels.
    **settings
        Further settings of the group ``backbone``.

    Raises
    ------
    FewshotError
        An unknown name or setting.
    """
    from fewshot.backbones.base import Folders
    from fewshot.paths import places_of_environment

    places = places_of_environment(weights=weights)
    chosen = backbone_settings(name) | settings | ({} if size is None else {"size": size})
    return load_backbone(chosen, Folders(places.weights, places.digests))


# Names by the module that has them.
_HOMES = {"Backbone": "base", "Folders": "base", "Transform": "transform"}
__all__ = ["BackboneSettings", "kinds", "load", "load_backbone", *_HOMES]  # noqa: PLE0604
__getattr__, __dir__ = lazy(__name__, _HOMES)
