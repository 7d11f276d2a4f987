"""Chunks of episodes: in order, and halved when they exceed the memory of a device."""

import pytest
import torch

from fewshot.exceptions import FewshotError
from fewshot.hardware import episodes_device
from fewshot.tasks.engine.batches import map_chunks

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
