"""How far an exported ONNX file is from torch, and how fast it is, on a folder of photographs.

    python benchmarks/onnx_export.py photographs                # a sub-folder of images per class
    python benchmarks/onnx_export.py                            # noise with their spectrum

Five images of each of ten classes are fitted, and the model is exported from images; on the
others, both answer image by image, on one core each. Probabilities are compared with those of
``predict_proba`` in float32; *torch* is the time of transform, network and head alone, on images
that are decoded already, as they are for onnxruntime. Needs the extra ``onnx``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import write
from extraction import photographs
from PIL import Image, ImageOps

import fewshot

CLASSES, SHOTS = 10, 5


def decoded(path: Path) -> Image.Image:
    """The image as cameras mean it, in RGB."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def parts(root: Path, count: int) -> tuple[list[Path], list[str], list[Path]]:
    """Images to fit with their labels, and others from all of the classes."""
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir())
    files = [sorted(file for file in folder.iterdir() if file.is_file()) for folder in folders]
    chosen = [group for group in files if len(group) > SHOTS][:CLASSES]
    shots = [file for group in chosen for file in group[:SHOTS]]
    others = [file for group in chosen for file in group[SHOTS:]]
    return shots, [file.parent.name for file in shots], others[:: max(1, len(others) // count)]


def seconds(work: Callable[[Any], Any], items: list[Any]) -> float:
    """Median processor time of an item: other programs may run beside."""
    work(items[0])
    taken = []
    for item in items:
        begun = time.process_time()
        work(item)
        taken.append(time.process_time() - begun)
    return statistics.median(taken)


def bare(model: fewshot.Classifier, image: Image.Image) -> torch.Tensor:
    """Probabilities without what reads files and shares work among cores."""
    assert model.network_ is not None
    transform = model.network_.backbone.transform
    features = model.network_.encode(transform.normalise(transform.pixels(image)[None]))
    return model.fitted_.predict_proba(torch.nn.functional.normalize(features, dim=-1))


def row_of(name: str, root: Path, count: int, folder: Path) -> dict[str, Any]:
    """Differences and times of one backbone."""
    import onnxruntime

    shots, labels, others = parts(root, count)
    model = fewshot.Classifier(name, "ridge", device="cpu").fit(shots, labels)
    assert model.network_ is not None
    model.network_ = model.network_.at("float32")
    begun = time.perf_counter()
    done = model.to_onnx(folder / "model.onnx")
    export = time.perf_counter() - begun
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(done.path), options, providers=["CPUExecutionProvider"]
    )
    images = [decoded(path) for path in others]
    ours = model.predict_proba(images)
    outputs = ["probabilities", "label"]
    answers = [session.run(outputs, {"image": np.asarray(image)[None]}) for image in images]
    theirs = np.concatenate([probabilities for probabilities, _ in answers])
    changed = sum(int(label[0]) != best for (_, label), best in
                  zip(answers, ours.argmax(1), strict=True))  # fmt: skip
    in_torch = seconds(lambda image: bare(model, image), images)
    in_onnx = seconds(lambda image: session.run(outputs, {"image": np.asarray(image)[None]}),
                      images)  # fmt: skip
    return {
        "backbone": name,
        "images": len(images),
        "largest difference": f"{np.abs(ours - theirs).max():.1e}",
        "other labels": changed,
        "torch": f"{1e3 * in_torch:.1f} ms",
        "onnxruntime": f"{1e3 * in_onnx:.1f} ms",
        "torch / onnxruntime": f"{in_torch / in_onnx:.2f}",
        "file": f"{done.path.stat().st_size / 1e6:.1f} MB",
        "export": f"{export:.1f} s",
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="?", type=Path)
    parser.add_argument("--backbone", nargs="+", default=["efficientnet_lite0"], metavar="NAME")
    parser.add_argument("--count", type=int, default=200, help="images (%(default)s)")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        root = arguments.images
        if root is None:
            root = Path(made) / "images"
            for number in range(CLASSES):
                photographs(root / str(number), 2 * SHOTS)
                (root / str(number) / "photos").rename(root / f"class {number}")
                (root / str(number)).rmdir()
        rows = [row_of(name, root, arguments.count, Path(made)) for name in arguments.backbone]
    write(arguments.json, rows)


if __name__ == "__main__":
    main()
