"""What a prediction recommends, fitted: head and backbone of the best forecast."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from fewshot import __version__
from fewshot.backbones.base import Backbone
from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.networks import Network
from fewshot.models.card import model_card
from fewshot.models.header import PLACES, BackboneNote, ErrorNote, Header
from fewshot.models.heads import head_note
from fewshot.models.parts import parts_of, taken_apart
from fewshot.models.referenced import name_of
from fewshot.models.weights import weights_note
from fewshot.tasks.classification.forecast.forecast import Forecast, support_of_bank
from fewshot.tasks.classification.labelling.fitted import FittedClassifier, fit_classifier

LIBRARIES = ("torch", "timm", "torchvision", "open_clip_torch", "safetensors", "numpy", "pillow")


class Taken(NamedTuple):
    """What is taken from a prediction: the fitted head, its network, and facts about them."""

    fitted: FittedClassifier
    network: Network | None
    header: Header


def take(forecasts: Forecasts) -> Taken:
    """Fit the head of the best forecast on all labelled images."""
    best, sources = forecasts.best, forecasts.sources
    bank, head = sources.supports[best.backbone], sources.heads[best.head]
    names = [bank.classnames[c] for c in bank.classes()]
    network = sources.networks.get(best.backbone)
    if network is not None:
        network = network.at(bank.info["causes"]["precision"])
    unlabelled = sources.unlabelled_of(best.backbone)
    fitted = fit_classifier(support_of_bank(bank), head, names, best.error, unlabelled)
    header = Header(
        task="classification",
        classes=tuple(names),
        images=forecasts.sizes,
        head=head_note(best.head, head, fitted),
        backbone=None if network is None else _backbone(network, bank.dim),
        normalize=bank.normalize,
        error=_error(best, forecasts.level),
        values={name: taken_apart(name, getattr(fitted, name))[0] for name in parts_of()},
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=sources.name,
    )
    return Taken(fitted, network, replace(header, card=model_card(header)))


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that compute."""
    installed = {"fewshot": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


def _error(best: Forecast, level: float) -> ErrorNote:
    return ErrorNote(
        best.error, best.lower, best.upper, level, best.calibrated_on, best.note, best.warnings
    )


def backbone_note(
    backbone: Backbone, name: str, settings: Mapping[str, Any], precision: str, dim: int
) -> BackboneNote:
    """What a header says of a backbone.

    Parameters
    ----------
    backbone : Backbone
    name : str
        As it was asked for.
    settings : mapping
        Of the group ``backbone``.
    precision : str
    dim : int
        Of its features.
    """
    facts = _as_json(backbone.fingerprint())
    recorded = {key: value for key, value in settings.items() if key not in PLACES}
    return BackboneNote(
        name=name_of(name, settings),
        settings=_as_json(recorded),
        feature=facts["feature"],
        architecture=facts["architecture"],
        transform=facts["transform"],
        precision=precision,
        dim=dim,
        weights=weights_note(backbone, settings),
    )


def _backbone(network: Network, dim: int) -> BackboneNote:
    precision = network.extraction.precision
    return backbone_note(network.backbone, network.name, network.settings, precision, dim)


def _as_json(content: dict[str, Any]) -> dict[str, Any]:
    """The same in types of JSON, as it is read back."""
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain
