"""The network of a model file, which is looked for when the first image needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones import kinds, load_backbone
from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    DualEncoder,
    Encode,
    Folders,
    Layers,
)
from fewshot.backbones.settings import backbone_settings
from fewshot.backbones.transform import Transform
from fewshot.backbones.weights import content_digest
from fewshot.exceptions import FewshotError
from fewshot.models.header import BackboneNote
from fewshot.models.weights import ONE_FILE, missing_weights, other_weights, reason_of, unpacked
from fewshot.paths import Places

OURS = (*ONE_FILE, "conse")  # kinds of networks that this package builds


class ReferencedBackbone(Backbone):
    """A backbone by what a model file says of it.

    Name, transform and fingerprint are known at once. The network is built and its weights are
    held against their hash on first use.

    Parameters
    ----------
    note : BackboneNote
    places : Places
    model : Path
        The model file.
    named : str, optional
        The backbone as the caller names it: networks of one's own are imported only then.

    Raises
    ------
    FewshotError
        `named` is another backbone, or the transform is none.
    """

    def __init__(
        self, note: BackboneNote, places: Places, model: Path, named: str | None = None
    ) -> None:
        self.note, self.places, self.model = note, places, model
        self.folders = Folders(places.weights, places.digests)
        self.name = str(note.settings.get("name") or note.name)
        self.feature, self.weights_source = note.feature, note.weights.source
        self.settings = dict(note.settings)
        if named is not None:
            self.settings |= _as_named(note, named)
        self._trusted = named is not None

    def weights_file(self) -> Path:
        """The file of weights; see `real`."""
        return self.real.weights_file()

    def stored_tensors(self) -> dict[str, Tensor]:
        """Those of the weights."""
        return self.real.stored_tensors()

    def architecture(self) -> dict[str, Any]:
        """As recorded."""
        return self.note.architecture

    @cached_property
    def weights_digest(self) -> str:
        """As recorded."""
        return self.note.weights.sha256

    def load(self, device: torch.device) -> Encode:
        """The network on a device."""
        return self.real.load(device)

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of the network."""
        return self.real.load_dense(device, layers)

    def load_dual(self, device: torch.device) -> DualEncoder:
        """Both towers, if it has two."""
        return self.real.load_dual(device)

    @cached_property
    def transform(self) -> Transform:  # type: ignore[override]
        """As recorded; of networks of others their own, which may be of another class."""
        ours = self.note.settings["kind"] in OURS
        return transform_of(self.note.transform) if ours else self.real.transform

    @cached_property
    def real(self) -> Backbone:
        """The backbone with its weights, which are those of the model.

        Raises
        ------
        FewshotError
            Code of others that nobody named, another network, weights that are missing or others.
        """
        self._check_kind()
        backbone = self._with_weights()
        for what, recorded, here in (
            ("architecture", self.note.architecture, backbone.architecture()),
            ("features", self.note.feature, backbone.feature),
        ):
            self._check_same(what, recorded, here)
        if self.note.settings["kind"] in OURS:
            # As it was when the model was fitted, whatever a later library has in its place.
            backbone.transform = self.transform
        else:
            self._check_same("transform", self.note.transform, {**vars(backbone.transform)})
        return backbone

    def _check_kind(self) -> None:
        """Raise for a network whose code would be imported because a file says so."""
        kind = str(self.note.settings.get("kind"))
        if kind in OURS or self._trusted or (kind != "callable" and kind in kinds.plugged()):
            return
        raise FewshotError(
            "backbone",
            f"the model was fitted on {self.note.name!r}, whose code is not part of this package, "
            "and a file does not make code run",
            f"Where you trust it, name it: backbone={self.note.name!r}.",
        )

    def _check_same(self, what: str, recorded: Any, here: Any) -> None:
        if json.loads(json.dumps(recorded)) == json.loads(json.dumps(here)):
            return
        raise FewshotError(
            "backbone",
            f"{self.note.name!r} has another {what} here than when the model was fitted: expected "
            f"{recorded}, got {here}",
            "Install the versions of the libraries that the model was fitted with; `fewshot card` "
            "lists them.",
        )

    def _with_weights(self) -> Backbone:
        kind, note = self.settings["kind"], self.note
        if kind not in ONE_FILE:
            backbone = self._loaded(self.settings)
            if backbone.weights_digest != note.weights.sha256:
                raise other_weights(note, self.folders.weights, "", backbone.weights_digest)
            return backbone
        # What the file must hash to says the model, not the card of the network.
        settings = self.settings | {"sha256": None} if "sha256" in self.settings else self.settings
        if note.weights.packed:
            path = unpacked(self.model, note.weights, self.places.cache)
            return self._loaded(settings | {"weights": str(path)})
        if (place := self._in_folder()) is not None and not settings.get("weights"):
            settings = settings | {"weights": str(place)}
        return self._checked(self._loaded(settings))

    def _in_folder(self) -> Path | None:
        """The file of that name in the folder of weights; or that file, where one is named."""
        folder = self.folders.weights
        places = [folder, folder / self.note.weights.file]
        return next((place for place in places if place.is_file()), None)

    def _checked(self, backbone: Backbone) -> Backbone:
        """The backbone, if its weights are at hand and those of the model.

        Raises
        ------
        FewshotError
            They are missing, or others.
        """
        folder = self.folders.weights
        folder = folder.parent if folder.is_file() else folder
        try:
            path = backbone.weights_file()
        except FewshotError as error:
            raise missing_weights(self.note, folder, reason_of(error)) from error
        digest = content_digest(path, self.folders.cache)
        if digest != self.note.weights.sha256:
            raise other_weights(self.note, folder, f" of {path}", digest)
        return backbone

    def _loaded(self, settings: Mapping[str, Any]) -> Backbone:
        return load_backbone(settings, self.folders)


def transform_of(recorded: Mapping[str, Any]) -> Transform:
    """The transform that a header describes.

    Raises
    ------
    FewshotError or TypeError
        It describes none, or leaves something out: defaults of today may be others tomorrow.
    """
    missing = sorted({entry.name for entry in fields(Transform)} - recorded.keys())
    if missing:
        raise TypeError(f"its transform lacks {missing[0]!r}")
    values: dict[str, Any] = {
        key: tuple(entry) if isinstance(entry, list) else entry for key, entry in recorded.items()
    }
    return Transform(**values)


def name_of(name: str, settings: Mapping[str, Any]) -> str:
    """The name of a backbone without the folders of its file of weights."""
    if settings["kind"] == "resnet12" and ":" in name:
        return f"resnet12:{Path(str(settings['weights'])).name}"
    return name


def _as_named(note: BackboneNote, named: str) -> dict[str, Any]:
    """Settings of a backbone that the caller names, if it is the one of the model."""
    settings = backbone_settings(named)
    if name_of(named, settings) != note.name:
        raise FewshotError(
            "backbone", f"expected {note.name!r}, on which the model was fitted, got {named!r}"
        )
    return {key: value for key, value in settings.items() if key not in note.settings}
