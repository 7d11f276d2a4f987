"""The probe against PyTorch's layers and optimiser, and what its authors' program lacks."""

import pytest
import torch
from torch import nn

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.heads.base import DenseSupport
from fewshot.tasks.segmentation.heads.leave_out import mean_iou, token_confusion
from fewshot.tasks.segmentation.heads.linear_probe import RATES, LinearProbe, _prepared
from fewshot.testing.dense_supports import D, annotated_image, dense_support


def trained_with_modules(support, lr, epochs, seed):
    """BatchNorm1d and Linear under SGD and PolynomialLR, all images in each batch."""
    tokens = torch.cat([image.tokens for image in support.images]).double()
    labels = torch.cat([image.labels for image in support.images]).double()
    weights = labels.sum(1, keepdim=True)
    centre = (weights * tokens).sum(0) / weights.sum()
    scale = ((weights * (tokens - centre).square()).sum(0) / weights.sum()).mean().rsqrt()
    norm, layer = nn.BatchNorm1d(D).double(), nn.Linear(D, support.ways).double()
    generator = torch.Generator().manual_seed(seed)
    bound = D**-0.5
    start = torch.empty(support.ways, D).uniform_(-bound, bound, generator=generator)
    layer.weight.data = start.double()
    start = torch.empty(support.ways).uniform_(-bound, bound, generator=generator)
    layer.bias.data = start.double()
    optimiser = torch.optim.SGD(
        [
            {"params": norm.parameters(), "weight_decay": 0},
            {"params": layer.parameters(), "weight_decay": 1e-4},
        ],
        lr=lr,
        momentum=0.9,
    )
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimiser, epochs, 0.9)
    inputs = (tokens - centre) * scale
    for _ in range(epochs):
        losses = -(labels * layer(norm(inputs)).log_softmax(1)).sum() / labels.sum()
        optimiser.zero_grad()
        losses.backward()
        optimiser.step()
        schedule.step()
    norm.eval()
    return lambda rows: layer(norm((rows.double() - centre) * scale)).detach()


@pytest.mark.parametrize(("lr", "epochs"), [(0.2, 25), (0.02, 8)])
def test_training_is_that_of_batch_norm_and_a_layer(lr, epochs):
    support, query = dense_support(3), annotated_image(50)
    expected = trained_with_modules(support, lr, epochs, seed=5)(query.tokens)
    head = LinearProbe(lr, epochs).fit(support, seed=5)
    assert head.lr_ == lr
    scores = head.scores(query.tokens, query.grid).double()
    torch.testing.assert_close(scores, expected, atol=1e-3, rtol=1e-3)


def test_every_image_is_seen_in_every_epoch():
    """Their program drops the last batch of an epoch when it is not full."""
    probe, images = LinearProbe(epochs=3, batch_size=2), dense_support(5).images
    epochs = _orders(probe, images, seed=0)
    assert [sorted(order) for order in epochs] == [list(range(5))] * 3
    assert len({tuple(order) for order in epochs}) == 3
    assert epochs != _orders(probe, images, seed=1)


def test_an_epoch_s_order_does_not_depend_on_the_images_left_out():
    probe, images = LinearProbe(epochs=4), dense_support(5).images
    without = _orders(probe, images[:2] + images[3:], seed=0)
    for order, rest in zip(_orders(probe, images, seed=0), without, strict=True):
        left = [place for place in order if place != 2]
        assert [place - (place > 2) for place in left] == rest


def _orders(probe, images, seed):
    """Numbers of the images, epoch by epoch."""
    prepared = [_prepared(image, torch.zeros(D), torch.tensor(1.0)) for image in images]
    place = {image.digest: at for at, image in enumerate(prepared)}
    batches = list(probe._batches(prepared, seed))
    seen = [place[image.digest] for batch in batches for image in batch]
    return [seen[start : start + len(images)] for start in range(0, len(seen), len(images))]


def test_the_rate_is_the_best_on_held_out_images():
    """As fits with every rate, image by image, say."""
    support = dense_support(3)
    generator = torch.Generator().manual_seed(1)
    noisy = [
        image._replace(tokens=image.tokens + 3 * torch.randn(12, D, generator=generator))
        for image in support.images
    ]
    support = DenseSupport(noisy, 3)
    ious = []
    for rate in RATES:
        confusion = torch.zeros(3, 3, dtype=torch.float64)
        for index, image in enumerate(support.images):
            head = LinearProbe(rate, epochs=3).fit(support.without(index), seed=2)
            confusion += token_confusion(head.scores(image.tokens, image.grid), image.labels)
        ious.append(mean_iou(confusion))
    assert len(set(ious)) > 1
    assert LinearProbe(epochs=3).fit(support, seed=2).lr_ == RATES[ious.index(max(ious))]


def test_a_single_image_takes_a_fixed_rate():
    assert LinearProbe(epochs=2).fit(dense_support(1)).lr_ == 0.01


def test_a_rate_that_diverges_is_said():
    support = dense_support(2)
    with pytest.raises(FewshotError, match=r"^lr: training with 1e\+30 diverged"):
        LinearProbe(1e30, epochs=20).fit(support)


def test_tokens_that_are_the_same_twice_do_not_stop_it():
    image = annotated_image(1)
    head = LinearProbe(epochs=5).fit(DenseSupport([image, image], 3))
    assert bool(head.map_.weights.isfinite().all())
