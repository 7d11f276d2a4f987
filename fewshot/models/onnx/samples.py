"""What ONNX and torch are compared on: what a user names, or patterns at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fewshot.backbones.transform import Transform
from fewshot.datasets.images import UnreadableImageError, unreadable_of
from fewshot.evaluation.predict_inputs import read_as
from fewshot.exceptions import FewshotError, expect
from fewshot.features.arrays import feature_matrix
from fewshot.features.given import load_unlabelled_features
from fewshot.models.inputs import are_images, errors_of, images_to_label

if TYPE_CHECKING:
    from fewshot.models.classifier import Classifier

ROWS = 4  # made up where nothing is named


@dataclass(frozen=True)
class Sample:
    """A batch for both.

    Attributes
    ----------
    torch : Tensor
        Pixels (B, 3, S, S), uint8, or features (B, D).
    onnx : ndarray
        The same, or the images (B, H, W, 3) that the pixels come from.
    """

    torch: Tensor
    onnx: NDArray


def samples_of(classifier: Classifier, kind: str, check: Any = None) -> Iterator[Sample]:
    """Samples for a graph of an input; see `fewshot.models.onnx.export.export`.

    Raises
    ------
    FewshotError
        Something else than images or features, or an image that cannot be read; some of it only
        when the sample is taken.
    """
    network = classifier.network_
    if kind == "features" or network is None:
        return (
            random_features(classifier.fitted_.dim) if check is None else _rows(classifier, check)
        )
    transform = network.backbone.transform
    images = random_images(transform.size) if check is None else _read(check)
    return image_samples(transform, images, kind == "pixels")


def image_samples(
    transform: Transform, images: Iterator[Image.Image], pixels: bool
) -> Iterator[Sample]:
    """Images one by one, as they may have any size, and the last with its mirror image."""
    image = None
    for image in images:
        yield _sample(transform, [image], pixels)
    if image is not None:
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        yield _sample(transform, [image, mirrored], pixels)


def _sample(transform: Transform, images: Sequence[Image.Image], pixels: bool) -> Sample:
    seen = torch.stack([transform.pixels(image) for image in images])
    return Sample(seen, seen.numpy() if pixels else np.stack([np.array(i) for i in images]))


def random_images(size: int, seed: int = 0) -> Iterator[Image.Image]:
    """Smooth patterns with noise, of sizes around that of the network's square."""
    generator = np.random.default_rng(seed)
    for _ in range(ROWS):
        shape = [max(1, int(size * factor)) for factor in generator.uniform(0.4, 2.2, 2)]
        coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
        noisy = np.asarray(smooth) + generator.normal(0, 12, (*shape, 3))
        yield Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def random_features(dim: int, seed: int = 0) -> Iterator[Sample]:
    """Directions at random, a batch and a single row."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(ROWS + 1, dim, generator=generator)
    for part in rows.split(ROWS):
        yield Sample(part, part.numpy())


def _rows(classifier: Classifier, check: Any) -> Iterator[Sample]:
    """Features as they are, of files of them, or of images under the network."""
    with errors_of("check"):
        features = _features(classifier, check)
    dim = classifier.fitted_.dim
    expect(features.shape[1] == dim, "check", f"expected {dim}-d features, got {features.shape}")
    rows = torch.tensor(features, dtype=torch.float32)
    return iter([Sample(rows, rows.numpy())])


def _features(classifier: Classifier, check: Any) -> NDArray:
    if not are_images(check):
        return feature_matrix(check)[0]
    if classifier.network_ is not None:
        batches = list(classifier.network_.stream(images_to_label(check, "check")))
        failures = [failure for batch in batches for failure in batch.failures]
        if failures:
            raise unreadable_of(failures)
        return np.concatenate([batch.features.numpy() for batch in batches])
    files = check if isinstance(check, list | tuple) else [check]
    return np.concatenate(
        [read_as("check", load_unlabelled_features, str(file)).features for file in files]
    )


def _read(check: Any) -> Iterator[Image.Image]:
    """Images, listed at once and read one by one."""
    dataset = images_to_label(check, "check")

    def image(row: int) -> Image.Image:
        try:
            return dataset.read(row)
        except UnreadableImageError as error:
            problem = f"cannot read image {dataset.paths[row]!r}: {error}"
            raise FewshotError("check", problem, "Name others.") from error

    return map(image, range(len(dataset)))
