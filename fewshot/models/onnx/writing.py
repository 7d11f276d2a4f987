"""ONNX files on disk: one file, or one with its weights beside it where they are large."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fewshot.files import new_folder

if TYPE_CHECKING:
    from onnx import ModelProto

# Bytes of weights from which on they are in a file of their own, as protobuf ends at 2 GiB.
LARGEST = 2**31 - 2**24
SMALLEST = 1024  # bytes of a tensor that is put there


@contextmanager
def written(model: ModelProto, target: Path) -> Iterator[Path]:
    """Yield the file, in a folder beside `target`; on success it takes the place of `target`.

    Weights that protobuf cannot hold are in ``NAME.data`` beside it. On any error nothing is left.
    """
    with new_folder(target.parent):
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            _save(model, folder / target.name)
            yield folder / target.name
            # The weights first: whoever sees the file can read it.
            for file in sorted(folder.iterdir(), key=lambda file: file.name == target.name):
                file.replace(target.with_name(file.name))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _save(model: ModelProto, path: Path) -> None:
    import onnx

    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST
    if large:
        onnx.save_model(
            model, path, save_as_external_data=True, all_tensors_to_one_file=True,
            location=f"{path.name}.data", size_threshold=SMALLEST,
        )  # fmt: skip
    else:
        onnx.save_model(model, path)
