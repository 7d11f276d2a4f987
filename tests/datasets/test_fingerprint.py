"""Content hashes notice every change and are not worked out twice."""

import json
import os
import shutil

import numpy as np
import pytest

from fewshot import files
from fewshot.datasets.fingerprint import images_digest, index_of
from fewshot.datasets.folder import load_folder
from fewshot.files import UNREADABLE, file_digest, file_digests


@pytest.fixture
def counted(monkeypatch):
    """Names of the files whose content was hashed."""
    hashed = []

    def digest(path):
        hashed.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(files, "file_digest", digest)
    return hashed


def test_it_is_the_hash_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digests([tmp_path / "a"]) == [expected]


def test_content_that_changes_while_size_and_time_are_kept(photos, tmp_path):
    cache = tmp_path / "digests"
    dataset = load_folder("x", str(photos), cache=cache)
    before = dataset.fingerprint()
    file = photos / "class_2" / "3.png"
    times, content = file.stat(), bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert dataset.fingerprint() != before


def test_names_and_classes_count_but_not_where_the_folder_is(photos, tmp_path):
    def of(root):
        return load_folder("x", str(root)).fingerprint()

    before = of(photos)
    shutil.move(photos, tmp_path / "moved")
    assert of(tmp_path / "moved") == before
    (tmp_path / "moved" / "class_0").rename(tmp_path / "moved" / "class_00")
    renamed = of(tmp_path / "moved")
    assert renamed != before
    (tmp_path / "moved" / "class_1" / "0.png").rename(tmp_path / "moved" / "class_2" / "00.png")
    assert of(tmp_path / "moved") not in (before, renamed)


def test_what_was_hashed_is_remembered(photos, tmp_path, counted):
    dataset = load_folder("x", str(photos), cache=tmp_path / "digests")
    first = dataset.fingerprint()
    assert len(counted) == 48
    assert dataset.fingerprint() == first
    assert len(counted) == 48
    (photos / "class_2" / "3.png").touch()
    assert dataset.fingerprint() == first
    assert counted[48:] == ["3.png"]


def test_two_folders_do_not_share_what_is_remembered(make_images, tmp_path, counted):
    first, second = (
        load_folder("x", str(make_images(tmp_path / name, 2, 2, seed)), cache=tmp_path / "digests")
        for seed, name in enumerate(("one", "two"))
    )
    assert first.fingerprint() != second.fingerprint()
    first.fingerprint()
    second.fingerprint()
    assert len(counted) == 8


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"x": 3}', json.dumps({"a": {"b": "c"}}), "\x00\udcff"]
)
def test_a_damaged_cache_only_costs_time(tmp_path, counted, damage):
    (tmp_path / "a").write_bytes(b"abc")
    cache = tmp_path / "cache.json"
    cache.write_text(damage, errors="surrogateescape")
    assert file_digests([tmp_path / "a"], cache) == [file_digest(tmp_path / "a")]
    assert file_digests([tmp_path / "a"], cache) == [file_digest(tmp_path / "a")]
    assert counted == ["a"]


def test_an_unwritable_cache_only_costs_time(photos, tmp_path, counted):
    (tmp_path / "file").touch()
    dataset = load_folder("x", str(photos), cache=tmp_path / "file" / "digests")
    assert dataset.fingerprint() == dataset.fingerprint()
    assert len(counted) == 96


def test_a_file_that_cannot_be_read_counts_as_such(tmp_path, counted):
    link, cache = tmp_path / "a", tmp_path / "cache.json"
    link.symlink_to("b")
    assert file_digests([link], cache) == [UNREADABLE]
    assert file_digests([link], cache) == [UNREADABLE]
    assert len(counted) == 2  # nothing of it is remembered
    (tmp_path / "b").write_bytes(b"abc")
    assert file_digests([link], cache) == [file_digest(link)]


def test_names_labels_and_order_count(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    files = [tmp_path / "a", tmp_path / "b"]
    variants = [
        images_digest(["a", "b"], files),
        images_digest(["a", "c"], files),
        images_digest(["b", "a"], files[::-1]),
        images_digest(["a", "b"], files, labels=np.array([0, 0])),
        images_digest(["a", "b"], files, labels=np.array([0, 1])),
    ]
    assert len(set(variants)) == 5
    assert images_digest(["a", "b"], files, tmp_path / "index.json") == variants[0]


def test_uses_of_a_folder_do_not_share_what_is_remembered(tmp_path):
    assert index_of(tmp_path, None) is None
    assert index_of(tmp_path, tmp_path) != index_of(tmp_path, tmp_path, "listed")
    assert index_of(tmp_path / "x" / "..", tmp_path) == index_of(tmp_path, tmp_path)


def test_names_that_are_not_utf8_are_remembered(tmp_path, counted):
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(b"abc")
    for _ in range(2):
        assert file_digests([path, path], tmp_path / "index.json") == [file_digest(path)] * 2
    assert len(counted) == 2  # twice in the first list, never again
