"""The linear probe of the benchmark of foundation models: batch normalisation and a 1x1 layer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from fewshot.exceptions import FewshotError, expect_number, expect_positive_int, expect_repeats
from fewshot.tasks.segmentation.heads.base import (
    DenseHeadTags,
    DenseSupport,
    LinearDenseHead,
    SupportImage,
    absent_never,
)
from fewshot.tasks.segmentation.heads.leave_out import mean_iou, splits, token_confusion

# From the authors' setting down to where mean IoU falls again.
RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
SINGLE_IMAGE_RATE = 0.01
MOST_GROUPS = 5
MOMENTUM, WEIGHT_DECAY, POWER = 0.9, 1e-4, 0.9
STATISTICS_MOMENTUM, EPSILON = 0.1, 1e-5


class LinearProbe(LinearDenseHead):
    """Batch normalisation and a 1x1 convolution, trained by SGD on frozen features.

    The linear method of Bensaid et al., "A Novel Benchmark for Few-Shot Semantic Segmentation in
    the Era of Foundation Models", arXiv 2401.11311: batches of 4 images, momentum 0.9, weight decay
    1e-4 but for the normalisation, a rate that falls as (1 - step / steps)^0.9. Once trained, the
    scores are linear in the token.

    Parameters
    ----------
    lr : float > 0, optional
        Learning rate. By default the one of seven from 0.2, the authors' setting, to 0.002 with the
        largest mean IoU of support images that are held out, in at most five groups; 0.01 for a
        single image.
    epochs : int >= 1
    batch_size : int >= 1
        Images.

    Attributes
    ----------
    lr_ : float

    Notes
    -----
    Against the authors' program: the rate and the epoch (the last) are never chosen on queries; no
    image is left out of an epoch; the order of an epoch depends on the seed, the epoch and the
    images alone. Features are those of the whole image, computed once, not of augmented crops. The
    loss is the cross-entropy of a token's scores, weighted by the pixels of every class that it
    stands for, the authors' that of scores interpolated to pixels. Features are divided by their
    standard deviation, so that the 1e-5 of batch normalisation is relative.
    """

    references = ("bensaid2024novel",)
    tags = DenseHeadTags(1e-3, sees_ignored_tokens=True, check_with={"epochs": 30})

    def __init__(self, lr: float | None = None, epochs: int = 200, batch_size: int = 4) -> None:
        if lr is not None:
            expect_number("lr", lr, 0, above=True, remedy="None chooses it on the support.")
        expect_repeats("epochs", epochs)
        expect_positive_int("batch_size", batch_size)
        self.lr, self.epochs, self.batch_size = lr, epochs, batch_size

    def fit(self, support: DenseSupport, seed: int = 0) -> Self:
        """Choose the learning rate if it is to be chosen, and train."""
        self.lr_ = float(self.lr) if self.lr is not None else self._chosen_rate(support, seed)
        weights, biases = self._trained(support, (self.lr_,), seed)
        if not bool(weights.isfinite().all() and biases.isfinite().all()):
            raise FewshotError("lr", f"training with {self.lr_:g} diverged", "Take a smaller one.")
        self.map_ = absent_never(weights[0], biases[0], support.counts())
        return self

    def _chosen_rate(self, support: DenseSupport, seed: int) -> float:
        if len(support.images) == 1:
            return SINGLE_IMAGE_RATE
        confusions = torch.zeros(len(RATES), support.ways, support.ways, dtype=torch.float64)
        for held_out, rest in splits(support, MOST_GROUPS):
            weights, biases = self._trained(rest, RATES, seed)
            for image in held_out:
                scores = torch.einsum("td,lnd->ltn", image.tokens.float(), weights)
                for rate, score in enumerate(scores + biases[:, None]):
                    confusions[rate] += token_confusion(score, image.labels).cpu()
        return RATES[int(mean_iou(confusions).nan_to_num(-1).argmax())]

    def _trained(
        self, support: DenseSupport, rates: Sequence[float], seed: int
    ) -> tuple[Tensor, Tensor]:
        """Weights (L, N, D) and biases (L, N) after training with each of L rates."""
        moments = support.moments()
        centre = moments.sums.sum(0) / moments.counts.sum().clamp_min(1)
        scale = moments.level(moments.total_covariance()).rsqrt()
        images = [_prepared(image, centre, scale) for image in support.images]
        probes = _Probes(len(rates), support.ways, len(centre), seed, images[0].tokens.device)
        speeds = torch.tensor(rates, device=images[0].tokens.device)
        batches = -(-len(images) // self.batch_size)
        for step, batch in enumerate(self._batches(images, seed)):
            share = 1 - step / (batches * self.epochs)
            probes.step(batch, speeds * share**POWER)
        weights, biases = probes.linear()
        weights = weights * scale.float()
        return weights, biases - weights @ centre.float()

    def _batches(self, images: Sequence[_Image], seed: int) -> Iterator[list[_Image]]:
        """All batches of all epochs; every image is in each epoch once."""
        for epoch in range(self.epochs):
            order = sorted(images, key=lambda image: _stream(seed, epoch, image.digest))
            for start in range(0, len(order), self.batch_size):
                yield order[start : start + self.batch_size]


class _Image(NamedTuple):
    """Annotated tokens (R, D) and labels (R, N), sums of all T tokens, and a hash of the image."""

    tokens: Tensor
    labels: Tensor
    sums: Tensor
    squares: Tensor
    size: int
    digest: bytes


def _prepared(image: SupportImage, centre: Tensor, scale: Tensor) -> _Image:
    digest = hashlib.sha256(image.tokens.cpu().contiguous().numpy().tobytes()).digest()
    tokens = (image.tokens.double() - centre) * scale
    known = image.labels.sum(1) > 0
    return _Image(
        tokens[known].float(),
        image.labels[known].float(),
        tokens.sum(0),
        tokens.square().sum(0),
        len(tokens),
        digest,
    )


def _stream(seed: int, epoch: int, digest: bytes) -> bytes:
    """What an image is sorted by in an epoch: the same whatever other images there are."""
    return hashlib.sha256(f"{seed} {epoch} ".encode() + digest).digest()


class _Probes:
    """L layers that differ in their learning rate; batch statistics are those of all.

    Normalisation is folded into the weights, which no pass over the tokens needs.
    """

    def __init__(self, rates: int, ways: int, dim: int, seed: int, device: torch.device) -> None:
        generator = torch.Generator().manual_seed(seed)
        bound = dim**-0.5  # of PyTorch's convolutions
        weight = torch.empty(ways, dim).uniform_(-bound, bound, generator=generator)
        bias = torch.empty(ways).uniform_(-bound, bound, generator=generator)
        gain, shift = torch.ones(dim), torch.zeros(dim)
        self.parameters = [
            start.to(device).expand(rates, *start.shape).clone()
            for start in (weight, bias, gain, shift)
        ]
        self.velocities = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.mean = torch.zeros(dim, dtype=torch.float64, device=device)
        self.variance = torch.ones_like(self.mean)

    def linear(self) -> tuple[Tensor, Tensor]:
        """Weights (L, N, D) and biases (L, N) under the running statistics."""
        return _folded(self.parameters, self.mean, self.variance)

    def step(self, batch: Sequence[_Image], rates: Tensor) -> None:
        """A step of SGD with momentum, for learning rates (L,)."""
        mean, variance = self._statistics(batch)
        tokens = torch.cat([image.tokens for image in batch])
        labels = torch.cat([image.labels for image in batch])
        if len(tokens) == 0:
            return
        with torch.enable_grad():
            for parameter in self.parameters:
                parameter.requires_grad_()
            loss = _loss(tokens, labels, *_folded(self.parameters, mean, variance))
            gradients = torch.autograd.grad(loss, self.parameters)
        decays = (WEIGHT_DECAY, WEIGHT_DECAY, 0.0, 0.0)
        for at, (gradient, decay) in enumerate(zip(gradients, decays, strict=True)):
            parameter, velocity = self.parameters[at].detach(), self.velocities[at]
            velocity.mul_(MOMENTUM).add_(gradient + decay * parameter)
            speed = rates.view(-1, *[1] * (parameter.ndim - 1))
            self.parameters[at] = parameter - speed * velocity

    def _statistics(self, batch: Sequence[_Image]) -> tuple[Tensor, Tensor]:
        """Mean and variance (D,) of all tokens of the batch; the running ones follow."""
        count = sum(image.size for image in batch)
        mean = torch.stack([image.sums for image in batch]).sum(0) / count
        variance = torch.stack([image.squares for image in batch]).sum(0) / count - mean.square()
        variance = variance.clamp_min(0)
        self.mean = self.mean.lerp(mean, STATISTICS_MOMENTUM)
        unbiased = variance * (count / max(1, count - 1))
        self.variance = self.variance.lerp(unbiased, STATISTICS_MOMENTUM)
        return mean, variance


def _folded(parameters: Sequence[Tensor], mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (L, N, D) and biases (L, N) of normalisation and layer in one."""
    weight, bias, gain, shift = parameters
    factor = gain * (variance + EPSILON).rsqrt().float()
    offset = torch.einsum("lnd,ld->ln", weight, shift - factor * mean.float())
    return weight * factor[:, None], bias + offset


def _loss(tokens: Tensor, labels: Tensor, weights: Tensor, biases: Tensor) -> Tensor:
    """Mean cross-entropy over the pixels, summed over L layers that do not know of each other."""
    scores = (tokens @ weights.flatten(0, 1).mT).view(len(tokens), *biases.shape) + biases
    losses = -(labels[:, None] * scores.log_softmax(-1)).sum((0, 2)) / labels.sum()
    return losses.sum()
