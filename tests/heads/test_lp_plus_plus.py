"""LP++ against the paper's updates written out, one episode at a time in the space of features."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from fewshot.heads.base import Context, Query, Support
from fewshot.heads.lp_plus_plus import LPPlusPlus, gram_product

E, N, K = 3, 4, 5
SCALE = 30.0


def draw(dim=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(E, N, 1, dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(E, N, K, dim, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 0, 2:] = mask[2, 3, 1:] = False
    text = means[:, :, 0] + torch.randn(E, N, dim, generator=generator, dtype=torch.float64)
    return Support.of(means + noise, mask, Context(normalize(text, dim=-1), SCALE))


def slow_lp(images, labels, text, steps, initial_alpha):
    """w (N, D) and alpha (N,), with gradients by autograd and curvatures by definition."""
    images = images / images.norm(dim=1, keepdim=True)
    own = torch.stack([(images[labels == c] @ text[c]).mean() for c in range(N)])
    w = torch.stack([images[labels == c].mean(0) for c in range(N)]).requires_grad_()
    alpha = torch.full((N,), float(initial_alpha * SCALE * own.mean())).double().requires_grad_()
    gamma_w = torch.linalg.matrix_norm(images.T @ images, 2) / (2 * len(images))
    gamma_alpha = (images @ text.T).square().mean(0) / 2

    def loss():
        return cross_entropy(images @ (w + alpha[:, None] * text).T, labels)

    for _ in range(steps):
        (slope,) = torch.autograd.grad(loss(), w)
        w.data -= slope / gamma_w
        (slope,) = torch.autograd.grad(loss(), alpha)
        alpha.data -= slope / gamma_alpha
    return w.detach(), alpha.detach()


def cut(support, e):
    labels, kept = torch.arange(N)[:, None].expand(N, K), support.mask[e]
    return support.features[e][kept], labels[kept], support.context.text[e]


@pytest.mark.parametrize("dim", [4, 10, 50])
def test_agrees_with_the_paper(dim):
    support = draw(dim)
    head = LPPlusPlus(25, 1.5).fit(support)
    for e in range(E):
        images, labels, text = cut(support, e)
        w, alpha = slow_lp(images, labels, text, 25, 1.5)
        torch.testing.assert_close(head.alpha_[e], alpha)
        torch.testing.assert_close(head.weights_[e], w + alpha[:, None] * text)


def test_the_start():
    support = draw()
    head = LPPlusPlus(steps=0).fit(support)
    for e in range(E):
        images, labels, text = cut(support, e)
        images = normalize(images, dim=-1)
        cosines = torch.stack([(images[labels == c] @ text[c]).mean() for c in range(N)])
        alpha = 2.5 * SCALE * cosines.mean()
        means = torch.stack([images[labels == c].mean(0) for c in range(N)])
        torch.testing.assert_close(head.alpha_[e], alpha.expand(N))
        torch.testing.assert_close(head.weights_[e], means + alpha * text)


def test_the_loss_never_rises():
    """Hard labels that no linear scores fit: the steps are as long as they may be."""
    support = draw(3, seed=1)
    before = [float("inf")] * E
    for steps in (0, 1, 2, 3, 5, 10, 100, 1000):
        weights = LPPlusPlus(steps, 5.0).fit(support).weights_
        for e in range(E):
            images, labels, _ = cut(support, e)
            now = float(cross_entropy(normalize(images, dim=-1) @ weights[e].T, labels))
            assert now <= before[e] + 1e-12
            before[e] = now


def test_both_orders_of_the_product_agree():
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(2, 5, 9, generator=generator).double()
    for dim in (3, 20):
        features = torch.randn(2, 9, dim, generator=generator).double()
        torch.testing.assert_close(gram_product(features)(left), left @ (features @ features.mT))


def test_without_text_in_the_start_the_shots_decide():
    support = draw(50)
    turned = Context(support.context.text.roll(1, 1), SCALE)
    head = LPPlusPlus(initial_alpha=0).fit(Support.of(support.features, support.mask, turned))
    answers = head.predict(Query.of(support.features.flatten(1, 2)))
    truth = torch.arange(N).repeat_interleave(K)
    assert bool((answers == truth)[support.mask.flatten(1)].all())
