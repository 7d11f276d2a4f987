"""Chunks of episodes: in order, and halved when they exceed the memory of a device."""

import dataclasses

import numpy as np
import pytest
import torch

from fewshot.episodes import EpisodeSet, sample_effective_episodes, sample_episodes
from fewshot.exceptions import FewshotError
from fewshot.features import make_bank
from fewshot.hardware import episodes_device
from fewshot.heads import Support
from fewshot.heads.base import Head
from fewshot.tasks.engine.batches import (
    QUERY_BYTES,
    RowSupport,
    gather,
    load_support,
    map_chunks,
)
from fewshot.tasks.engine.episodes import actual_errors

CPU = torch.device("cpu")
CUDA = torch.device("cuda")  # never touched: the work of these tests is counting


def small_memory(most, sizes):
    """Work that fails as CUDA does for more than `most` episodes at a time."""

    def work(start, stop):
        sizes.append(stop - start)
        if stop - start > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")
        return list(range(start, stop))

    return work


@pytest.mark.parametrize("most", [1, 3, 8, 100])
def test_chunks_that_do_not_fit_are_halved_and_keep_their_order(most):
    sizes = []
    pieces = list(map_chunks(small_memory(most, sizes), [(0, 10), (10, 13)], CUDA, 1))
    assert [episode for piece in pieces for episode in piece] == list(range(13))
    assert max(map(len, pieces)) <= most
    assert len(sizes) == 2 if most >= 10 else len(sizes) > 2


def test_an_episode_that_does_not_fit_is_said():
    with pytest.raises(FewshotError, match=r"device: .*a single episode: CUDA out of memory\."):
        list(map_chunks(small_memory(0, []), [(0, 4)], CUDA, 1))


def test_heads_go_to_a_device_with_float64():
    assert episodes_device(torch.device("mps")) == torch.device("cpu")
    for name in ("cpu", "cuda:1"):
        assert episodes_device(torch.device(name)) == torch.device(name)


@pytest.mark.parametrize("normalize", ["none", "l2"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_means_of_shots_that_are_not_read_yet(dtype: type, normalize: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 10)
    bank = make_bank(rng.normal(size=(60, 9)).astype(dtype), labels, normalize=normalize)
    episodes = sample_episodes(labels, 3, 4, 2, 5)
    support = load_support(bank, episodes, 1, 4, CPU)
    assert isinstance(support, RowSupport)
    means = support.means()
    assert "features" not in vars(support)
    plain = Support(*gather(bank, episodes.support[1:4], CPU))
    torch.testing.assert_close(means, plain.means())
    assert torch.equal(support.features, plain.features)
    assert torch.equal(support.counts, plain.counts)
    assert torch.equal(support[1:].deviations(), plain[1:].deviations())


def test_shots_of_unequal_number_are_read_at_once() -> None:
    labels = np.repeat(np.arange(4), 8)
    bank = make_bank(np.ones((32, 3), dtype=np.float32), labels)
    drawn = sample_episodes(labels, 2, 3, 2, 2)
    fewer = drawn.support.copy()
    fewer[:, 0, 2] = -1
    episodes = EpisodeSet(drawn.classes, fewer, drawn.query, labels)
    support = load_support(bank, episodes, 0, 2, CPU)
    assert type(support) is Support
    assert support.counts.tolist() == [[2.0, 3.0], [2.0, 3.0]]


def test_chunks_of_many_classes_without_shots_are_small():
    """A head that reads class names holds a text vector of every class, as it would a shot."""
    ways, dim = 64, 512
    sizes = []

    class Texts(Head):
        uses = frozenset({"text", "queries"})
        least_shots = 0

        def fit(self, support):
            sizes.append(len(support.context.text))
            return self

        def scores(self, query):
            return query.features.new_zeros(*query.mask.shape, ways)

    labels = np.repeat(np.arange(ways), 2)
    bank = make_bank(np.ones((len(labels), dim), np.float32), labels)
    bank = dataclasses.replace(bank, text=np.ones((ways, dim), np.float32), logit_scale=1.0)
    drawn = sample_effective_episodes(labels, None, 0, 1, 2, 2 * QUERY_BYTES // (ways * dim * 4))
    actual_errors(bank, drawn, Texts(), device=CPU, threads=1)
    assert sum(sizes) == len(drawn)
    assert max(sizes) * ways * dim * 4 <= QUERY_BYTES
