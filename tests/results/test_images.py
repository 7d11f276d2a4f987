"""``images.parquet``: the shots of a run by name."""

import numpy as np
import pandas as pd
import pytest

from fewshot.episodes import EpisodeSet
from fewshot.features.bank import make_bank
from fewshot.results.images import write_images


@pytest.fixture
def bank():
    labels = np.repeat([0, 1], 4)
    paths = [f"{c}/{i}.png" for i, c in enumerate("aaaabbbb")]
    paths[7] = "b/\udcff.png"  # a file name that is not UTF-8
    return make_bank(np.eye(8, dtype=np.float32), labels, ["cat", "dog"], paths)


def episodes(bank, *support):
    support = np.array(support)
    classes = np.tile([0, 1], (len(support), 1))
    return EpisodeSet(classes, support, None, bank.labels)


def test_every_shot_is_there_once_and_nothing_else(bank, tmp_path):
    first = episodes(bank, [[0], [4]], [[1], [7]])
    second = episodes(bank, [[0, 2], [4, -1]])
    write_images(tmp_path, bank, [first, second])
    table = pd.read_parquet(tmp_path / "images.parquet")
    assert table["row"].tolist() == [0, 1, 2, 4, 7]
    assert table["class"].tolist() == ["cat"] * 3 + ["dog"] * 2
    assert table["file"].tolist() == ["a/0.png", "a/1.png", "a/2.png", "b/4.png", "b/\\udcff.png"]


def test_without_names_or_shots_there_is_no_file(bank, tmp_path):
    nameless = make_bank(bank.features, bank.labels)
    write_images(tmp_path, nameless, [episodes(bank, [[0], [4]])])
    write_images(tmp_path, bank, [])
    assert not list(tmp_path.iterdir())
