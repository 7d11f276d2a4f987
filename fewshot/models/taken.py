"""What a prediction recommends, fitted: head and backbone of the best forecast."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NamedTuple

from fewshot import __version__
from fewshot.evaluation.forecasts import Forecasts
from fewshot.evaluation.networks import Network
from fewshot.features.bank import FeatureBank
from fewshot.models.header import BackboneNote, ErrorNote, Header, WeightsNote
from fewshot.tasks.classification.forecast.forecast import Forecast, support_of_bank
from fewshot.tasks.classification.labelling.fitted import FittedClassifier, fit_classifier

LIBRARIES = ("torch", "timm", "torchvision", "open_clip_torch", "safetensors", "numpy")


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
    header = Header(
        task="classification",
        classes=tuple(names),
        images=forecasts.sizes,
        head={"name": best.head, "parameters": head.get_params()},
        backbone=None if network is None else _backbone(network, bank),
        normalize=bank.normalize,
        error=_error(best, forecasts.level),
        versions=versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=sources.name,
    )
    fitted = fit_classifier(support_of_bank(bank), head, names, best.head, best.error)
    return Taken(fitted, network, header)


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that compute."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"fewshot": __version__, "python": platform.python_version(), **libraries}


def _error(best: Forecast, level: float) -> ErrorNote:
    return ErrorNote(
        best.error, best.lower, best.upper, level, best.calibrated_on, best.note, best.warnings
    )


def _backbone(network: Network, bank: FeatureBank) -> BackboneNote:
    backbone = network.backbone
    facts = backbone.fingerprint()
    return BackboneNote(
        name=network.name,
        settings=dict(network.settings),
        feature=facts["feature"],
        architecture=facts["architecture"],
        transform=facts["transform"],
        precision=network.extraction.precision,
        dim=bank.dim,
        weights=WeightsNote(facts["weights"], backbone.weights_file().name),
    )
