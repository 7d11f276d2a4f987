"""Features of images under a network, batch by batch, without a bank."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.datasets.files import load_files
from fewshot.evaluation.networks import batch_size, network_named
from fewshot.exceptions import FewshotError


@pytest.fixture
def network(tiny_net):
    return network_named("callable:tiny_net:network", size=16).at("float32")


def test_batches_give_the_features_of_the_bank_and_leave_nothing_behind(network, photos, tmp_path):
    dataset = load_files([str(photos)])
    batches = list(network.stream(dataset))
    rows = torch.cat([batch.features for batch in batches])
    assert not (tmp_path / "cache").exists()
    bank = network(dataset)
    together = torch.from_numpy(np.array(bank.features))
    assert torch.allclose(rows, together, atol=1e-6)
    assert sum(len(batch.signatures) for batch in batches) == 0


def test_all_features_at_once_name_an_image_that_cannot_be_read(network, photos):
    dataset = load_files([str(photos)])
    rows = torch.cat([batch.features for batch in network.stream(dataset)])
    assert torch.equal(network.features(dataset), rows)
    (photos / dataset.paths[7]).write_bytes(b"nothing")
    with pytest.raises(FewshotError, match=Path(dataset.paths[7]).name):
        network.features(dataset)


def test_files_are_not_hashed(network, photos, monkeypatch):
    monkeypatch.setattr("fewshot.files.file_digest", pytest.fail)
    assert sum(len(batch.features) for batch in network.stream(load_files([str(photos)]))) == 48


@pytest.mark.parametrize("images", [1, 2, 15, 16, 17, 33, 100, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_threads_have_work_until_the_end(images, threads):
    size = batch_size(images, 16, threads)
    batches = -(-images // size)
    assert 1 <= size <= 16
    # No thread has more images than if the work were shared out evenly, but for its last batch.
    most = -(-batches // threads) * size
    assert most <= images / threads + size
