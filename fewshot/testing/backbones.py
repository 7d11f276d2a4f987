"""What every backbone must do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Backbone, Folders
from fewshot.backbones.plugged import create
from fewshot.exceptions import FewshotError
from fewshot.importing import BY_MODULE, short_name
from fewshot.registry import Entry
from fewshot.testing.check import Check, Pairs, pairs, require, require_close, run

CPU = torch.device("cpu")
FACTS = {"architecture", "weights", "feature", "transform"}
Described = Backbone | str | Callable[..., Any]


def check_backbone(backbone: Described, folders: Folders | None = None) -> None:
    """Check that a backbone does what extraction and its cache rely on.

    Parameters
    ----------
    backbone : Backbone, str or callable
        An object; a name of ``fewshot list backbones`` or a ``module:factory``; a class or a
        function as entry points of the group ``fewshot.backbones`` name it.
    folders : Folders, optional
        Of weights, for a name, a class or a function.

    Raises
    ------
    AssertionError
        One line: the check, what is expected and what came.
    """
    run(described(backbone, folders), backbone_checks())


def described(backbone: Described, folders: Folders | None = None) -> Backbone:
    """A backbone from whatever describes it; no weights are loaded."""
    folders = folders or Folders(Path("weights"))
    if isinstance(backbone, Backbone):
        return backbone
    if isinstance(backbone, str):
        return load_backbone(backbone, folders)
    entry = Entry(short_name(f":{backbone.__qualname__}"), backbone, "", "backbone", BY_MODULE)
    return create(entry, folders, {})


def backbone_checks() -> Pairs:
    """Names and checks; a check is called with a `Backbone`."""
    return pairs(Check(function.__name__, function) for function in CHECKS)


def _anew(backbone: Backbone) -> Backbone:
    """A description of the same backbone, which loads by itself."""
    return copy.deepcopy(backbone)


def images_for(backbone: Backbone, count: int = 3) -> Tensor:
    """Input of the network (count, 3, S, S): random pixels through the backbone's transform."""
    rng = np.random.default_rng(0)
    pixels = [
        backbone.transform.pixels(
            Image.fromarray(rng.integers(0, 256, size=(40, 50, 3), dtype=np.uint8))
        )
        for _ in range(count)
    ]
    return backbone.transform.normalise(torch.stack(pixels))


def a_row_per_image(backbone: Backbone) -> None:
    """Finite float32 features (B, D) without a gradient, which tell images apart."""
    backbone = _anew(backbone)
    rows = backbone.load(CPU)(images_for(backbone))
    require(
        isinstance(rows, Tensor) and rows.ndim == 2 and len(rows) == 3,
        f"expected features (B, D) of 3 images, got {tuple(getattr(rows, 'shape', ()))}",
    )
    require(rows.dtype == torch.float32, f"expected float32, got {rows.dtype}")
    require(bool(rows.isfinite().all()), "expected finite features, got NaN or infinity")
    require(not rows.requires_grad, "expected features without a gradient")
    require(bool((rows.std(0) > 0).any()), "expected different features of different images")


def batch_equals_images(backbone: Backbone) -> None:
    """A batch has the features of its images by themselves."""
    backbone = _anew(backbone)
    encode, images = backbone.load(CPU), images_for(backbone)
    together = encode(images)
    single = torch.cat([encode(image[None]) for image in images])
    what = "equal features of an image by itself and in a batch: the network has to be in eval mode"
    require_close(together, single, what, 1e-4, 1e-4 * float(together.abs().max()))


def repeatable(backbone: Backbone) -> None:
    """The same twice, and after loading again."""
    backbone, again = _anew(backbone), _anew(backbone)
    images, first = images_for(backbone), backbone.load(CPU)
    features = first(images)
    require(torch.equal(features, first(images)), "expected the same features twice, got others")
    require(
        torch.equal(features, again.load(CPU)(images)),
        "expected the same features after loading again, got others: are its weights random?",
    )


def images_are_left(backbone: Backbone) -> None:
    """The network does not write into its input."""
    backbone = _anew(backbone)
    images = images_for(backbone)
    before = images.clone()
    backbone.load(CPU)(images)
    require(torch.equal(images, before), "expected the images to be left as they are")


def dense_maps(backbone: Backbone) -> None:
    """Where it has dense features: finite maps of oblong images, as large as it says."""
    try:
        encoder = _anew(backbone).load_dense(CPU)
    except FewshotError:  # it has none
        return
    require(len(encoder.strides) == len(encoder.dims), "expected a stride and a dim for every map")
    shape = (2, 3, 2 * encoder.multiple, 3 * encoder.multiple)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    maps = encoder.encode(images)
    expected = [
        (2, dim, shape[2] // stride, shape[3] // stride)
        for dim, stride in zip(encoder.dims, encoder.strides, strict=True)
    ]
    got = [tuple(output.shape) for output in maps]
    require(got == expected, f"expected maps {expected} of images {shape}, got {got}")
    fine = all(
        m.dtype == torch.float32 and not m.requires_grad and m.isfinite().all() for m in maps
    )
    require(fine, "expected finite float32 maps without a gradient")
    single = encoder.encode(images[:1])
    what = "equal maps of an image by itself and in a batch: the network has to be in eval mode"
    for alone, together in zip(single, maps, strict=True):
        require_close(alone, together[:1], what, 1e-4, 1e-4 * float(together.abs().max()))


def fingerprint_is_stable(backbone: Backbone) -> None:
    """What features are stored under is the same each time, and goes into JSON."""
    fingerprint = _anew(backbone).fingerprint()
    require(fingerprint == _anew(backbone).fingerprint(), "expected the same fingerprint twice")
    try:
        stored = json.loads(json.dumps(fingerprint))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"expected a fingerprint of JSON types: {error}") from None
    require(
        stored.keys() == FACTS,
        f"expected a fingerprint of {', '.join(sorted(FACTS))}, got {', '.join(sorted(stored))}",
    )
    digest = fingerprint["weights"]
    require(
        isinstance(digest, str) and len(digest) == 64,
        f"expected the SHA-256 of the weights in hexadecimal, got {digest!r}",
    )


def fingerprint_knows_the_transform(backbone: Backbone) -> None:
    """Another transform is another fingerprint; None changes nothing."""
    backbone = _anew(backbone)
    before, size = backbone.fingerprint(), backbone.transform.size
    changed = 0.5 if backbone.transform.crop_pct != 0.5 else 0.75
    after = backbone.with_input(crop_pct=changed, size=None).fingerprint()
    require(after != before, "expected another fingerprint with another crop_pct")
    require(
        (backbone.transform.size, backbone.transform.crop_pct) == (size, changed),
        "expected with_input(size=None) to keep the size",
    )


def it_has_a_name(backbone: Backbone) -> None:
    """A name for the rows, and one for its features."""
    for attribute in ("name", "feature"):
        value = getattr(backbone, attribute, None)
        require(
            isinstance(value, str) and bool(value), f"expected a text `{attribute}`, got {value!r}"
        )


CHECKS = (
    it_has_a_name,
    a_row_per_image,
    batch_equals_images,
    repeatable,
    images_are_left,
    dense_maps,
    fingerprint_is_stable,
    fingerprint_knows_the_transform,
)
