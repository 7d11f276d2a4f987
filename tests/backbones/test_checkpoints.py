"""Weights files that are something else than their names say, and of other architectures."""

import argparse
import gzip
import io
import zipfile

import pytest
import torch
from safetensors.torch import save

from fewshot.backbones import load_backbone
from fewshot.backbones.checkpoints import mismatches, read_state_dict
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")
TENSORS = {"conv1.weight": torch.ones(2, 2), "conv1.bias": torch.ones(2)}


def saved(content, **settings):
    buffer = io.BytesIO()
    torch.save(content, buffer, **settings)
    return buffer.getvalue()


def zipped(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 44\n"
OTHERS = {
    "lfs": (LFS, r"it is a Git LFS pointer \(run git lfs pull\)"),
    "page": (b"<!doctype html><title>Log in</title>", r"it is an HTML page"),
    "error": (b'{"error": "Invalid username or password."}', r"it is a JSON file"),
    "empty": (b"", r"it is an empty file .*Delete it and fetch it again"),
    "zeros": (bytes(5000), r"it is a file full of zeros"),
    "gzip": (gzip.compress(saved(TENSORS)), r"it is a gzip archive \(unpack it\)"),
    "zip": (zipped("weights/model.pth"), r"it is a zip archive \(unpack it\)"),
    "array": (b"\x93NUMPY\x01\x00" + bytes(100), r"it is a NumPy \.npy file"),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(100), r"it is a PNG image"),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(100), r"it is an HDF5 file"),
    "half a .pth": (saved(TENSORS)[:-200], r"a PyTorch checkpoint \(zip\) that breaks off"),
    "half a .safetensors": (save(TENSORS)[:-1], r"a safetensors file that breaks off"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("case", OTHERS)
def test_files_are_called_what_they_are(tmp_path, case, suffix):
    content, message = OTHERS[case]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(FewshotError, match=message) as caught:
        read_state_dict("net", path)
    assert str(caught.value).startswith(f"backbone.weights: {path} does not load into 'net': it is")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "right"),
    [
        ("model.safetensors", saved(TENSORS), "model.pth"),
        ("model.safetensors", saved(TENSORS, _use_new_zipfile_serialization=False), "model.pth"),
        ("model.tag.pth", save(TENSORS), "model.tag.safetensors"),
        ("model.bin", save(TENSORS), "model.safetensors"),
    ],
)
def test_weights_of_the_other_format_need_the_other_name(tmp_path, name, content, right):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FewshotError, match=rf"Name it {right}\."):
        read_state_dict("net", path)
    renamed = path.rename(tmp_path / right)
    assert read_state_dict("net", renamed).keys() == TENSORS.keys()


def test_objects_in_a_checkpoint_are_named(tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(saved({"state_dict": TENSORS, "args": argparse.Namespace(lr=0.1)}))
    with pytest.raises(FewshotError, match=r"holds Python objects \(argparse\.Namespace\)"):
        read_state_dict("net", path)


@pytest.mark.parametrize(
    ("kind", "model"),
    [("timm", "test_resnet"), ("torchvision", "squeezenet1_1"), ("open_clip", "tiny-clip")],
)
def test_another_architecture_is_told_by_its_first_keys(tiny_clip, folders, workplace, kind, model):
    stored = {f"blocks.{n}.norm.weight": torch.ones(4) for n in range(300)}
    path = workplace / "other.pth"
    path.write_bytes(saved(stored))
    backbone = load_backbone({"kind": kind, "model": model, "weights": str(path)}, folders)
    with pytest.raises(FewshotError) as caught:
        backbone.load(CPU)
    message = str(caught.value)
    assert f"{path} does not load into" in message
    assert "Missing keys: " in message
    assert "Unexpected keys: blocks.0.norm.weight, blocks.1.norm.weight" in message
    assert "297 more). It is a checkpoint of another architecture, or not complete." in message
    assert len(message) < 500


def test_shapes_that_differ_are_named():
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    stored = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 2)).state_dict()
    with pytest.raises(RuntimeError) as caught:
        network.load_state_dict(stored)
    assert mismatches(str(caught.value)) == (
        "size mismatch: 0.weight is (5, 3), expected (4, 3), 0.bias is (5), expected (4) and 1 more"
    )
    with pytest.raises(RuntimeError) as caught:
        network.load_state_dict({"0.weight": 7}, strict=False)
    assert mismatches(str(caught.value)) == "not a tensor: 0.weight"
    assert mismatches("something else") == ""
