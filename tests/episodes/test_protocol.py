"""The protocol of episodes: how classes, shots and queries were drawn."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from fewshot.episodes import (
    EpisodeSet,
    sample_all_way,
    sample_episodes,
    sample_imbalanced_episodes,
)
from fewshot.exceptions import FewshotError

LABELS = np.repeat(np.arange(4), 12)


def test_samplers_name_it():
    assert sample_episodes(LABELS, 3, 1, 4, 5).protocol == ""
    assert sample_episodes(LABELS, 3, 1, "all", 5).protocol == ""
    assert sample_all_way(LABELS, 2, 3).protocol == "all_way"
    names = [
        sample_imbalanced_episodes(LABELS, 3, 1, 6, 5, alpha=alpha).protocol for alpha in (2, 0.5)
    ]
    assert names == ["imbalanced(alpha=2)", "imbalanced(alpha=0.5)"]


def test_it_is_saved_and_the_hash_is_that_of_the_rows(tmp_path):
    drawn = sample_episodes(LABELS, 3, 1, 4, 5)
    named = replace(drawn, protocol="every second class")
    assert named.hash() == drawn.hash()
    for episodes in (drawn, named):
        loaded = EpisodeSet.load(episodes.save(tmp_path / "e.safetensors"))
        assert loaded.protocol == episodes.protocol
        np.testing.assert_array_equal(loaded.query, drawn.query)


def test_files_from_before_are_balanced(tmp_path):
    path = sample_all_way(LABELS, 2, 3).save(tmp_path / "e.safetensors")
    arrays = load_file(path)
    note = {"format": "fewshot-episodes-1", "seed": "0", "hash": EpisodeSet.load(path).hash()}
    path.write_bytes(save(arrays, metadata=note))
    assert EpisodeSet.load(path).protocol == ""


@pytest.mark.parametrize("protocol", [3, None, "two\nlines", "\x1b[31m"])
def test_it_is_a_line_of_text(protocol):
    with pytest.raises(FewshotError, match=r"episodes\.protocol: expected a line of text"):
        replace(sample_episodes(LABELS, 3, 1, 4, 5), protocol=protocol)
