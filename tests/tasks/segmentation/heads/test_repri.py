"""RePRI against a transcription of the paper with automatic gradients."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from fewshot.exceptions import FewshotError
from fewshot.tasks.segmentation.heads.repri import RePRI
from fewshot.testing.dense_supports import annotated_image, dense_support


def transcription(support, query, temperature, steps, rate, proportion_step):
    """Equations 2 to 5 of the paper, image by image and token by token, in float64."""
    tokens = torch.cat([image.tokens for image in support.images]).double()
    labels = torch.cat([image.labels for image in support.images]).double()
    query = query.tokens.double()
    tokens, query = (rows / rows.norm(dim=1, keepdim=True) for rows in (tokens, query))
    prototype = (labels[:, 1:] * tokens).sum(0) / labels[:, 1].sum()
    bias = (temperature * cosine_similarity(query, prototype[None])).mean()

    def foreground(rows):
        return torch.sigmoid(temperature * cosine_similarity(rows, prototype[None]) - bias)

    expected = foreground(query).mean()
    entropy_weight = share_weight = 1 / len(support.images)
    for step in range(1, steps + 1):
        prototype, bias = prototype.detach().requires_grad_(), bias.detach().requires_grad_()
        p, q = foreground(tokens), foreground(query)
        cross = -(labels[:, 1] * p.log() + labels[:, 0] * (1 - p).log()).sum() / labels.sum()
        entropy = -(q * q.log() + (1 - q) * (1 - q).log()).mean()
        share = q.mean()
        divergence = (
            share * (share / expected).log() + (1 - share) * ((1 - share) / (1 - expected)).log()
        )
        loss = cross + entropy_weight * entropy + share_weight * divergence
        slopes = torch.autograd.grad(loss, (prototype, bias))
        prototype, bias = prototype.detach() - rate * slopes[0], bias.detach() - rate * slopes[1]
        if step == proportion_step:
            expected = foreground(query).mean()
            share_weight += 1
    return foreground(query)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(
    ("temperature", "steps", "rate", "proportion_step"),
    [(20.0, 50, 0.025, 10), (5.0, 12, 0.5, 3), (10.0, 4, 0.1, 100)],
)
def test_steps_are_those_of_the_paper(images, temperature, steps, rate, proportion_step):
    support, query = dense_support(images, 2), annotated_image(50, 2)
    head = RePRI(temperature, steps, rate, proportion_step).fit(support)
    scores = head.scores(query.tokens, query.grid)
    expected = transcription(support, query, temperature, steps, rate, proportion_step)
    torch.testing.assert_close(scores[:, 1].double(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores.sum(1), torch.ones(len(scores)))


def test_queries_are_adapted_to_one_by_one():
    """And in inference mode, which has no automatic gradients."""
    support, first, second = dense_support(2, 2), annotated_image(50, 2), annotated_image(51, 2)
    head = RePRI().fit(support)
    alone = head.scores(first.tokens, first.grid)
    with torch.inference_mode():
        head.scores(second.tokens, second.grid)
        assert torch.equal(head.scores(first.tokens, first.grid), alone)


def test_more_classes_are_refused():
    with pytest.raises(FewshotError, match=r"^head: expected 2 classes .* got 3.*episodic"):
        RePRI().fit(dense_support(2, 3))
