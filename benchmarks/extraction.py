"""Images per second from JPEG files to rows of a bank, against the bare network.

    python benchmarks/extraction.py                       # ResNet-18 and ViT-S/14, random weights
    python benchmarks/extraction.py --backbone efficientnet_lite0 --images DIR

The bare network runs on images that are decoded and normalised already, with the same batch and
precision, in the better of two ways: all cores on one batch, or a batch on every core. End to end
is what ``fewshot extract`` does once the network is loaded: reading, decoding, resizing,
normalising, the network, chunks on disk. Both are measured by turns, so that whatever else the
machine does falls on both. Random weights take the time that trained ones take.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write
from PIL import Image

from fewshot.backbones import Backbone, Transform, load
from fewshot.datasets import Folder, ImageDataset
from fewshot.features import Extraction, at_precision, open_or_extract
from fewshot.hardware import (
    available_cores,
    computes_in_bfloat16,
    device_named,
    freed_memory_kept,
    torch_threads,
)

Encode = Callable[[torch.Tensor], torch.Tensor]

PRECISIONS = ("float32", "bfloat16", "float16")
# What random weights stand in for: name, timm's model, pixels.
RANDOM = {
    "resnet18": ("resnet18.a1_in1k", 224),
    "dinov2_vits14": ("vit_small_patch14_dinov2.lvd142m", 224),
}


def photographs(folder: Path, count: int, size: tuple[int, int] = (500, 375)) -> None:
    """JPEG files with the spectrum of photographs (1/f), about 130 kB each at quality 90."""
    width, height = size
    scale = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    scale[0, 0] = np.inf
    (folder / "photos").mkdir(parents=True)
    for number in range(count):
        noise = np.random.default_rng(number).normal(size=(height, width, 3))
        spectrum = np.fft.rfft2(noise, axes=(0, 1)) / scale[..., None]
        image = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
        image = 128 + 55 * (image - image.mean()) / image.std()
        pixels = image.clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number:05d}.jpg", quality=90)


def random_backbone(name: str, weights: Path) -> Backbone:
    """The backbone `name` with random weights, through the loading code of real ones."""
    import timm
    from safetensors.torch import save_file

    model, size = RANDOM[name]
    torch.manual_seed(0)
    state = timm.create_model(model, img_size=size) if "vit" in model else timm.create_model(model)
    save_file(
        {key: value.contiguous() for key, value in state.state_dict().items()},
        weights / f"{model}.safetensors",
    )
    return load(name, weights=weights)


class Bare:
    """The network alone."""

    def __init__(
        self, encode: Encode, images: torch.Tensor, device: torch.device, batches: int
    ) -> None:
        self.encode, self.images, self.device, self.batches = encode, images, device, batches

    def together(self) -> float:
        """Images per second, all cores on one batch."""
        return self._rate(1)

    def apart(self) -> float:
        """Images per second, a batch on every core."""
        return self._rate(available_cores())

    def _rate(self, workers: int) -> float:
        def work(_: int) -> int:
            return len(self.encode(self.images).cpu())

        each = available_cores() // workers
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(each,)
        ) as pool:
            list(pool.map(work, range(workers)))  # warms up
            begun = time.perf_counter()
            done = sum(pool.map(work, range(self.batches)))
            return done / (time.perf_counter() - begun)


def end_to_end(dataset: ImageDataset, backbone: Backbone, how: Extraction) -> float:
    """Images per second of an extraction, the network being loaded."""
    with tempfile.TemporaryDirectory() as cache:
        bank = open_or_extract(dataset, backbone, Path(cache), how)
    return len(dataset) / bank.info["seconds"]


def pixels(dataset: ImageDataset, transform: Transform, rows: Sequence[int]) -> torch.Tensor:
    """Images (B, 3, S, S), decoded and resized, uint8."""
    return torch.stack([transform.pixels(dataset.read(row)) for row in rows])


def pipeline_rows(
    dataset: ImageDataset, backbone: Backbone, how: Extraction, repeats: int
) -> Iterator[dict[str, Any]]:
    """Rates and efficiency of one backbone."""
    transform = backbone.transform
    loaded = backbone.load(how.device)
    images = transform.normalise(pixels(dataset, transform, range(how.batch)).to(how.device))
    encode = at_precision(loaded, how.precision, how.device)
    bare = Bare(encode, images, how.device, max(2 * how.cores, len(dataset) // how.batch // 2))
    rates: dict[str, list[float]] = {"together": [], "apart": [], "pipeline": []}
    for _ in range(repeats):
        rates["together"].append(bare.together())
        if how.device.type == "cpu":
            rates["apart"].append(bare.apart())
        rates["pipeline"].append(end_to_end(dataset, backbone, how))
    best = max(("together", "apart"), key=lambda kind: statistics.median(rates[kind] or [0.0]))
    each = [b / a for a, b in zip(rates[best], rates["pipeline"], strict=True)]
    yield {
        "backbone": backbone.name,
        "precision": how.precision,
        "batch": how.batch,
        "bare, one batch": f"{statistics.median(rates['together']):.1f}/s",
        "bare, a batch per core": f"{statistics.median(rates['apart'] or [0.0]):.1f}/s",
        "end to end": f"{statistics.median(rates['pipeline']):.1f}/s",
        "efficiency": f"{statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f})",
    }


def bfloat16_text(dataset: ImageDataset, backbone: Backbone, how: Extraction) -> str:
    """How near bfloat16 is to float32 on one batch, and how much faster on one core."""
    first = pixels(dataset, backbone.transform, range(how.batch))
    images = backbone.transform.normalise(first.to(how.device))
    loaded = backbone.load(how.device)
    seconds, features = {}, {}
    with torch_threads(1):
        for precision in ("float32", "bfloat16", "float32", "bfloat16"):  # the first pair warms up
            encode = at_precision(loaded, precision, how.device)
            begun = time.perf_counter()
            for _ in range(3):
                features[precision] = encode(images).cpu()
            seconds[precision] = time.perf_counter() - begun
    ratio = seconds["float32"] / seconds["bfloat16"]
    cosine = torch.cosine_similarity(features["float32"], features["bfloat16"], dim=1).min()
    return f"bfloat16 is {ratio:.2f} times as fast as float32, least cosine {cosine:.6f}"


def decoding(root: str, transform: Transform, most: int, seconds: float = 3.0) -> dict[str, Any]:
    """Decoding and resizing alone: one thread, a thread per core, a process per core."""
    cores, dataset = available_cores(), Folder(root)
    rows = list(range(min(64, most, len(dataset))))
    with torch_threads(1):
        begun = time.perf_counter()
        pixels(dataset, transform, rows)
        single = len(rows) / (time.perf_counter() - begun)
        count = max(2 * cores, int(single * seconds / len(rows)))
        begun = time.perf_counter()
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(lambda _: len(pixels(dataset, transform, rows)), range(count)))
        threads = count * len(rows) / (time.perf_counter() - begun)
    with ProcessPoolExecutor(cores, initializer=_open, initargs=(root, transform)) as pool:
        list(pool.map(_decode, [rows[:2]] * cores))
        begun = time.perf_counter()
        list(pool.map(_decode, [rows] * count))
        processes = count * len(rows) / (time.perf_counter() - begun)
    return {
        "decoding alone": f"{transform.size} px",
        "one thread": f"{single:.0f}/s",
        f"{cores} threads": f"{threads:.0f}/s ({threads / single:.2f}x)",
        f"{cores} processes": f"{processes:.0f}/s ({processes / single:.2f}x)",
    }


_worker: list[Any] = []


def _open(root: str, transform: Transform) -> None:
    torch.set_num_threads(1)
    _worker[:] = [Folder(root), transform]


def _decode(rows: list[int]) -> int:
    return len(pixels(*_worker, rows))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", nargs="+", default=list(RANDOM), metavar="NAME")
    parser.add_argument("--images", metavar="DIR", help="class folders; 500 x 375 JPEGs by default")
    parser.add_argument("--count", type=int, default=256, help="images (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, help="default: that of an extraction")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    device = device_named(given.device)
    how = Extraction(device, precision=given.precision, batch_size=given.batch)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as made:
        if not given.images:
            photographs(Path(made), given.count)
        root = given.images or made
        whole = Folder(root, "photos")
        dataset = whole.take_rows(np.arange(min(given.count, len(whole))))
        print(decoding(root, Transform(), given.count), flush=True)
        for name in given.backbone:
            with tempfile.TemporaryDirectory() as weights:
                random = name in RANDOM
                backbone = random_backbone(name, Path(weights)) if random else load(name)
                rows += pipeline_rows(dataset, backbone, how, given.repeats)
                if computes_in_bfloat16(how.device):
                    print(f"{name}: {bfloat16_text(dataset, backbone, how)}", flush=True)
    if not computes_in_bfloat16(how.device):
        print(f"{how.device} does not compute in bfloat16: its speed and cosine are not measured.")
    write(given.json, rows)


if __name__ == "__main__":
    with freed_memory_kept():  # for the bare network too, or the comparison would flatter us
        main()
