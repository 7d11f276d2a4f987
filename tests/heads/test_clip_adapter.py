"""CLIP-Adapter against torch modules, one episode at a time."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from fewshot.heads import clip_adapter
from fewshot.heads.base import Context, Query, Support
from fewshot.heads.clip_adapter import CLIPAdapter, initial

E, N, K, D = 3, 4, 3, 12


def draw(seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(E, N, 1, D, generator=generator, dtype=torch.float64)
    noise = torch.randn(E, N, K, D, generator=generator, dtype=torch.float64)
    mask = torch.ones(E, N, K, dtype=torch.bool)
    mask[1, 0, 2:] = mask[2, 3, 1:] = False
    text = means[:, :, 0] + torch.randn(E, N, D, generator=generator, dtype=torch.float64)
    return Support.of(means + noise, mask, Context(normalize(text, dim=-1), 30.0))


class SlowAdapter(nn.Module):
    def __init__(self, first, second, ratio):
        super().__init__()
        self.down = nn.Linear(*first.shape, bias=False, dtype=torch.float64)
        self.up = nn.Linear(*second.shape, bias=False, dtype=torch.float64)
        self.down.weight.data, self.up.weight.data = first.T.clone(), second.T.clone()
        self.ratio = ratio

    def forward(self, images, text):
        images = images / images.norm(dim=1, keepdim=True)
        adapted = self.up(self.down(images).relu()).relu()
        mixed = self.ratio * adapted + (1 - self.ratio) * images
        return 30.0 * mixed / mixed.norm(dim=1, keepdim=True) @ text.T

    def learn(self, images, labels, text, learning_rate, steps):
        optimizer = torch.optim.AdamW(self.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            cross_entropy(self(images, text), labels).backward()
            optimizer.step()
            schedule.step()
        return self


def test_agrees_with_torch():
    support = draw()
    query = torch.randn(E, 6, D, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    head = CLIPAdapter(0.4, 3, 0.01, 30, seed=7).fit(support)
    scores, labels = head.scores(Query.of(query)), torch.arange(N)[:, None].expand(N, K)
    start = initial(D, 4, 7, query)
    for e in range(E):
        kept, text = support.mask[e], support.context.text[e]
        slow = SlowAdapter(start["first"][0], start["second"][0], 0.4)
        slow.learn(support.features[e][kept], labels[kept], text, 0.01, 30)
        torch.testing.assert_close(scores[e], slow(query[e], text).detach(), rtol=1e-7, atol=1e-7)


def test_ratio_zero_is_zero_shot():
    support = draw()
    queries = normalize(support.features.flatten(1, 2), dim=-1)
    scores = CLIPAdapter(ratio=0).fit(support).scores(Query.of(queries))
    torch.testing.assert_close(scores, 30 * queries @ support.context.text.mT)


def test_the_start_belongs_to_the_seed_alone():
    like = torch.zeros(1)
    one, again, other = (initial(D, 4, seed, like) for seed in (0, 0, 1))
    torch.manual_seed(9)
    assert torch.equal(one["first"], again["first"])
    assert not torch.equal(one["second"], other["second"])
    assert one["first"].shape == (1, D, 4)
    assert one["second"].shape == (1, 4, D)
    assert float(one["first"].abs().max()) <= D**-0.5
    double = initial(D, 4, 0, like.double())["first"]
    torch.testing.assert_close(double.float(), one["first"])


def test_training_in_parts_changes_nothing(monkeypatch):
    support, query = draw(), Query.of(torch.ones(E, 2, D, dtype=torch.float64))
    whole = CLIPAdapter().fit(support).scores(query)
    monkeypatch.setattr(clip_adapter, "TRAINED_BYTES", 1)
    torch.testing.assert_close(CLIPAdapter().fit(support).scores(query), whole)


def test_features_narrower_than_the_reduction():
    support = draw()
    narrow = Support.of(
        support.features[..., :3], support.mask, Context(support.context.text[..., :3], 30.0)
    )
    head = CLIPAdapter(reduction=8).fit(narrow)
    assert head.first_.shape == (E, 3, 1)
