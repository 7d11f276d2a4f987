"""Batches through threads: the same rows in the same order, whatever the machine."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.base import Folders
from fewshot.datasets.folder import load_folder
from fewshot.exceptions import FewshotError
from fewshot.features.extraction import pipeline
from fewshot.features.extraction.decode import decode
from fewshot.features.extraction.extract import compiled
from fewshot.features.extraction.pipeline import encode_batches, ordered, within_memory

CPU = torch.device("cpu")


@pytest.fixture
def parts(photos, tiny_net):
    """Data set, transform and network."""
    (photos / "class_2" / "1.png").write_bytes(b"no image")
    dataset = load_folder("photos", str(photos))
    settings = {"kind": "callable", "target": "tiny_net:network", "size": 16}
    backbone = load_backbone(settings, Folders(Path("w")))
    return dataset, backbone.transform, backbone.load(CPU)


def batches(dataset, size=5):
    return [range(i, min(i + size, len(dataset))) for i in range(0, len(dataset), size)]


@pytest.mark.parametrize("runner", ["_on_cpu", "_on_accelerator"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_rows_come_in_order_and_failures_with_their_batch(parts, runner, threads):
    dataset, transform, encode = parts
    row_batches = batches(dataset)
    run = getattr(pipeline, runner)
    results = list(run(row_batches, dataset, transform, encode, CPU, threads))
    assert len(results) == len(row_batches)
    for rows, (features, failures, _) in zip(row_batches, results, strict=True):
        bad = [row for row in rows if row == 17]
        assert [failure["row"] for failure in failures] == bad
        alone = [
            encode(transform.normalise(transform.pixels(dataset.read(row))[None]))
            for row in rows
            if row != 17
        ]
        assert torch.allclose(features, torch.cat(alone), atol=1e-6)


def test_a_cpu_gives_the_same_bits_on_any_number_of_threads(parts):
    dataset, transform, encode = parts
    runs = [
        [
            features.numpy().tobytes()
            for features, *_ in encode_batches(
                batches(dataset), dataset, transform, encode, CPU, threads
            )
        ]
        for threads in (1, 3)
    ]
    assert runs[0] == runs[1]


def test_threads_of_torch_are_put_back(parts):
    dataset, transform, encode = parts
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        list(encode_batches(batches(dataset), dataset, transform, encode, CPU, 2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_batch_without_an_image(parts, photos):
    dataset, transform, encode = parts
    for path in (photos / "class_0").iterdir():
        path.write_bytes(b"")
    ((features, failures, signatures),) = encode_batches(
        [range(8)], dataset, transform, encode, CPU, 1
    )
    assert len(features) == len(signatures) == 0
    assert len(failures) == 8


def test_pixels_are_channels_last_and_those_of_the_transform(parts):
    dataset, transform, _ = parts
    pixels = decode(dataset, transform, range(4)).images
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert pixels.dtype == torch.uint8
    for row in range(4):
        assert torch.equal(pixels[row], transform.pixels(dataset.read(row)))


def test_results_are_ordered_although_work_is_not():
    rng = np.random.default_rng(0)
    pauses = rng.uniform(0, 0.01, size=40).tolist()

    def work(number):
        time.sleep(pauses[number])
        return number

    assert list(ordered(work, range(40), 4, 2)) == list(range(40))


def test_no_more_is_taken_than_can_be_worked_on():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = ordered(lambda number: number, items(), threads=2, ahead=1)
    next(results)
    assert len(taken) <= 4  # two threads, one ahead, and the place of the first result
    results.close()
    assert len(taken) <= 4


def test_an_error_in_a_thread_is_raised_and_the_others_end():
    before = threading.active_count()

    def work(number):
        if number == 5:
            raise ValueError("five")
        return number

    results = ordered(work, range(100), 3, 1)
    with pytest.raises(ValueError, match="five"):
        list(results)
    assert threading.active_count() == before


def test_short_batches_are_padded_for_a_compiled_network(monkeypatch):
    seen = []

    def network(images):
        seen.append(len(images))
        return images.flatten(1)

    monkeypatch.setattr(torch, "compile", lambda encode, dynamic: encode)
    images = torch.randn(3, 3, 2, 2)
    encode = compiled(network, 8)
    assert torch.equal(encode(images), images.flatten(1))
    encode(torch.randn(8, 3, 2, 2))
    assert set(seen) == {8}


@pytest.mark.slow
def test_a_network_that_torch_compiles_indeed(parts):
    dataset, transform, encode = parts
    fast = compiled(encode, 8)
    plain = [rows for rows, *_ in encode_batches(batches(dataset, 8), *parts, CPU, 1)]
    quick = [
        rows for rows, *_ in encode_batches(batches(dataset, 8), dataset, transform, fast, CPU, 1)
    ]
    assert torch.allclose(torch.cat(plain), torch.cat(quick), atol=1e-5)


def small_memory(most, seen):
    """A network whose device holds `most` images at a time."""

    def encode(images):
        seen.append(len(images))
        if len(images) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nMore.")
        return images.flatten(1) * 2

    return encode


@pytest.mark.parametrize("most", [1, 3, 5, 16])
def test_a_batch_that_memory_does_not_hold_is_taken_in_parts(most, capsys):
    seen = []
    encode = within_memory(small_memory(most, seen))
    images = torch.arange(2 * 3 * 4.0 * 8).view(16, 3, 2, 2)
    assert torch.equal(encode(images), images.flatten(1) * 2)
    said = capsys.readouterr().err.count("memory does not hold")
    assert said == (most < 16) + (most < 8) + (most < 4) + (most < 2)
    seen.clear()
    assert torch.equal(encode(images[:7]), images[:7].flatten(1) * 2)
    assert max(seen) <= most  # what fitted is remembered
    assert capsys.readouterr().err == ""


def test_an_image_that_memory_does_not_hold_is_said():
    encode = within_memory(small_memory(0, []))
    with pytest.raises(FewshotError, match=r"device: .*one image of 2 x 2 pixels: CUDA out of m"):
        encode(torch.zeros(4, 3, 2, 2))


def test_features_are_fetched_behind_their_own_batch(parts, monkeypatch):
    """On CUDA the copy is queued before the next batch is handed over, and waited for after."""
    dataset, transform, encode = parts
    order = []

    class Copy:
        def __init__(self, rows):
            self.rows = rows
            order.append("copy")

        def wait(self):
            order.append("wait")
            return self.rows

    monkeypatch.setattr(pipeline, "Fetch", Copy)

    def noted(images):
        order.append("batch")
        return encode(images)

    row_batches = [range(0, 5), range(5, 10), range(10, 15)]
    list(pipeline._on_accelerator(row_batches, dataset, transform, noted, CPU, 2))
    assert order == ["batch", "copy", "batch", "copy", "wait", "batch", "copy", "wait", "wait"]
