"""Files are called what they are, whatever their names say."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import feather, parquet
from safetensors.torch import save

from fewshot.file_kinds import kind_of


def buffered(write, *arguments, **settings):
    """What `write` puts into the file that is its first argument."""
    buffer = io.BytesIO()
    write(buffer, *arguments, **settings)
    return buffer.getvalue()


def archive(*names):
    def write(buffer):
        with zipfile.ZipFile(buffer, "w") as file:
            for name in names:
                file.writestr(name, b"x")

    return buffered(write)


def tarred():
    def write(buffer):
        with tarfile.open(fileobj=buffer, mode="w") as file:
            file.addfile(tarfile.TarInfo("a.jpg"))

    return buffered(write)


def image(kind):
    from PIL import Image

    return buffered(lambda buffer: Image.new("RGB", (8, 8)).save(buffer, kind))


def table(write):
    sink = pyarrow.BufferOutputStream()
    write(pyarrow.table({"a": [1]}), sink)
    return sink.getvalue().to_pybytes()


TENSORS = {"weight": torch.arange(6.0)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FTYP = b"\x00\x00\x00\x1cftyp%s\x00\x00\x00\x00%s" + bytes(20)
FILES = {
    "an empty file": b"",
    "a file full of zeros": bytes(10_000),
    "a Git LFS pointer (run git lfs pull)": POINTER,
    "a zip archive": archive("images/1.jpg"),
    "an empty zip archive": archive(),
    "a gzip archive": gzip.compress(b"abc"),
    "a tar archive": tarred(),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(30),
    "a RAR archive": b"Rar!\x1a\x07\x01\x00" + bytes(30),
    "a PyTorch checkpoint (zip)": buffered(lambda file: torch.save(TENSORS, file)),
    "a PyTorch checkpoint": buffered(
        lambda file: torch.save(TENSORS, file, _use_new_zipfile_serialization=False)
    ),
    "a NumPy .npz file": buffered(lambda file: np.savez(file, features=np.ones(3))),
    "a NumPy .npy file": buffered(lambda file: np.save(file, np.ones(3))),
    "an Office document": archive("[Content_Types].xml", "xl/workbook.xml"),
    "a safetensors file": save(TENSORS),
    "a safetensors file that breaks off": save(TENSORS)[:-1],
    "a pickle": pickle.dumps({"a": 1}),
    "a JSON file": b'\xef\xbb\xbf{"a": [1, 2]}',
    "an HTML page": b"\n<!-- x -->\n<!DOCTYPE html><html><body>Log in</body></html>",
    "an XML file": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "an SVG image": b'<?xml version="1.0"?><svg xmlns="x"/>',
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3",
    "a PNG image": image("png"),
    "a JPEG image": image("jpeg"),
    "a WebP image": image("webp"),
    "a GIF image": image("gif"),
    "a TIFF image": image("tiff"),
    "a BMP image": image("bmp"),
    "an HEIC image": FTYP % (b"mif1", b"heic"),
    "an AVIF image": FTYP % (b"mif1", b"avif"),
    "an MP4/MOV video": FTYP % (b"isom", b"mp42"),
    "a Parquet file": table(parquet.write_table),
    "an Arrow/Feather file": table(feather.write_feather),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(30),
    "a text file": "filename,label\nümlaut.jpg,1\n".encode(),
    "a text file in UTF-16": "a,b\n".encode("utf-16"),
    "a text file that is not in UTF-8": "ümlaut".encode("latin-1"),
}
MORE = (
    ("a pickle", pickle.dumps([1, 2], protocol=2)),
    ("a pickle", pickle.dumps(np.ones(3), protocol=3)),
    ("a JSON file", b'[{"a": 1}]'),
    ("a JSON file", b"[1.5, 2]"),
    ("a JSON file", json.dumps({"key": "x" * 10_000}).encode()),
    ("a text file", b"[train]\nlr = 0.1\n"),
    ("a text file", b"<class> of birds"),
    ("a text file", "ä".encode() * 5000),  # cut within a character
    ("a text file", b"Entry not found"),
    ("an HTML page", b"<html>\n502 Bad Gateway"),
    ("a zip archive", archive("weights/", "weights/data.npy.txt")),
    (None, b"\x03\x01\x02\x00 no kind that is known"),
)


@pytest.mark.parametrize(
    ("kind", "content"), [*FILES.items(), *MORE], ids=lambda v: v if isinstance(v, str) else ""
)
def test_kinds_by_content(tmp_path, kind, content):
    """The name does not matter; what to do stands in brackets after the noun."""
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    got = kind_of(file)
    assert got == kind if kind is None else got.startswith(kind)
    exact = [other for other in FILES if got is not None and got.startswith(other)]
    assert kind is None or max(exact, key=len) == kind


def test_zeros_at_the_beginning_alone_are_no_zeros(tmp_path):
    (tmp_path / "a").write_bytes(bytes(9000) + b"x")
    assert kind_of(tmp_path / "a") is None


def test_only_regular_files_are_read(tmp_path):
    """A pipe without a writer would block for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "nothing", Path("/dev/zero")):
        assert kind_of(path) is None


def test_little_is_read(tmp_path):
    """A sparse file of many gigabytes takes no time."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**36)
    assert kind_of(tmp_path / "large").startswith("a file full of zeros")


def test_kinds_are_noun_phrases():
    from fewshot.file_kinds import BRANDS, RIFF, SIGNATURES, ZIPPED

    phrases = [row[-1] for row in (*SIGNATURES, *ZIPPED, *BRANDS)] + list(RIFF.values())
    assert all(phrase.startswith(("a ", "an ")) for phrase in phrases)
