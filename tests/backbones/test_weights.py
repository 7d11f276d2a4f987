"""Where weights are found, and whether they are the right ones."""

import hashlib

import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.timm import HUB_FILES, TimmBackbone
from fewshot.backbones.weights import (
    candidates,
    check_sha256,
    checked,
    torch_cache,
)
from fewshot.exceptions import FewshotError


def test_candidates_are_files_by_name_and_the_hub_s_layout(tmp_path):
    places = candidates("net.tag", tmp_path, "timm/net.tag", ("a.safetensors", "b.bin"))
    assert [str(place.relative_to(tmp_path)) for place in places] == [
        "net.tag.safetensors", "net.tag.pth", "net.tag.pt", "net.tag.bin",
        "timm/net.tag/a.safetensors", "timm/net.tag/b.bin",
        "net.tag/a.safetensors", "net.tag/b.bin",
    ]  # fmt: skip
    assert len(candidates("net", tmp_path, "", ("a.safetensors",))) == 4


@pytest.mark.parametrize("folder", ["timm/test_vit.r160_in1k", "test_vit.r160_in1k"])
@pytest.mark.parametrize("file", HUB_FILES)
def test_what_the_hub_s_client_puts_into_a_folder_is_found(save_timm, folders, folder, file):
    suffix = f".{file.rpartition('.')[2]}"
    saved = save_timm("test_vit", suffix=suffix)
    target = folders.weights / folder / file
    target.parent.mkdir(parents=True)
    saved.path.rename(target)
    backbone = TimmBackbone(folders=folders, model="test_vit.r160_in1k")
    assert backbone.weights_file() == target
    assert backbone.load(torch.device("cpu"))(torch.zeros(1, 3, 160, 160)).shape == (1, 64)


def test_a_file_by_name_goes_before_the_hub_s_layout(save_timm, folders):
    saved = save_timm("test_vit.r160_in1k")
    other = folders.weights / "timm" / "test_vit.r160_in1k" / HUB_FILES[0]
    other.parent.mkdir(parents=True)
    other.write_bytes(b"")
    backbone = TimmBackbone(folders=folders, model="test_vit.r160_in1k")
    assert backbone.weights_file() == saved.path


@pytest.mark.parametrize("cached", [True, False])
def test_content_is_held_against_its_hash(tmp_path, cached):
    path = tmp_path / "w.pth"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    cache = tmp_path / "digests" if cached else None
    for expected in (digest, digest.upper(), digest[:8], None):
        assert checked(path, expected, cache) == path
    path.write_bytes(b"weight")  # cut off
    for expected in (digest, digest[:8]):
        with pytest.raises(FewshotError, match=r"w\.pth is truncated, or another file: .*Delete"):
            checked(path, expected, cache)
    with pytest.raises(FewshotError, match="Do this"):
        checked(path, digest, cache, "Do this.")


def test_hashes_of_settings_are_whole(folders):
    for fine in (None, "a" * 64, "0" * 64):
        check_sha256(fine)
    for wrong in ("a" * 63, "g" * 64, 12, ""):
        with pytest.raises(FewshotError, match=r"backbone\.sha256: expected 64 hexadecimal"):
            check_sha256(wrong)
    for kind in ({"kind": "timm", "model": "resnet18"}, {"kind": "packaged"}, {"kind": "resnet12"},
                 {"kind": "torchvision", "model": "resnet18"}):  # fmt: skip
        with pytest.raises(FewshotError, match=r"backbone\.sha256"):
            load_backbone(kind | {"sha256": "abc"}, folders)


def test_timm_s_weights_may_carry_a_hash(save_timm, folders):
    path = save_timm("test_resnet").path
    settings = {"kind": "timm", "model": "test_resnet"}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = load_backbone(settings | {"sha256": digest}, folders)
    assert right.fingerprint() == load_backbone(settings, folders).fingerprint()
    wrong = load_backbone(settings | {"sha256": "0" * 64}, folders)
    for call in (wrong.fingerprint, lambda: wrong.load(torch.device("cpu"))):
        with pytest.raises(FewshotError, match=r"backbone\.weights: .*expected SHA-256 000"):
            call()


def test_torch_s_cache_is_where_torch_says(monkeypatch):
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    hub = [torch_cache()]
    real = [torch.hub.get_dir()]
    for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, f"/somewhere/{name}")
        hub.append(torch_cache())
        real.append(torch.hub.get_dir())
    assert [str(path) for path in hub] == [f"{folder}/checkpoints" for folder in real]
