"""Models of timm with local weights."""

import pickle
import time
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from fewshot.backbones import load_backbone, weights
from fewshot.backbones.timm import TimmBackbone
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


def images(size, count=2):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def close(actual, expected):
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("test_resnet", ".safetensors"), ("test_vit", ".pth"), ("test_convnext", ".bin"),
     ("test_efficientnet", ".pt")],
)  # fmt: skip
def test_pooled_features_are_what_the_classifier_sees(save_timm, folders, name, suffix):
    saved = save_timm(name, suffix=suffix)
    backbone = TimmBackbone(folders=folders, model=name)
    x = images(backbone.transform.size)
    saved.model.reset_classifier(0)
    with torch.no_grad():
        assert close(backbone.load(CPU)(x), saved.model(x))
    assert backbone.weights_file() == saved.path


def test_tokens_of_a_transformer(save_timm, folders):
    saved = save_timm("test_vit")
    x = images(160)
    with torch.no_grad():
        tokens = saved.model.forward_features(x)
    expected = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(1)}
    expected["cls+mean"] = torch.cat([expected["cls"], expected["mean"]], dim=1)
    keys = set()
    for feature, rows in expected.items():
        backbone = TimmBackbone(folders=folders, model="test_vit", feature=feature)
        assert close(backbone.load(CPU)(x), rows)
        keys.add(str(backbone.fingerprint()))
    assert len(keys) == 3


def test_a_convolutional_network_has_no_tokens(save_timm, folders):
    save_timm("test_resnet")
    for feature in ("cls", "mean"):
        backbone = TimmBackbone(folders=folders, model="test_resnet", feature=feature)
        assert "only 'pooled' is defined" in refusal(lambda model=backbone: model.load(CPU))


def test_another_input_size(save_timm, folders):
    save_timm("test_vit")
    backbone = load_backbone({"kind": "timm", "model": "test_vit", "size": 96}, folders, size=32)
    assert backbone.transform.size == 96  # what the user says, not the data set
    assert backbone.load(CPU)(images(96)).shape == (2, 64)
    default = load_backbone({"kind": "timm", "model": "test_vit"}, folders, size=32, crop_pct=1.0)
    assert (default.transform.size, default.transform.crop_pct) == (32, 1.0)


def test_a_network_for_oblong_images_needs_a_size(folders, monkeypatch):
    tall = replace(timm.get_pretrained_cfg("test_vit"), input_size=(3, 32, 24))
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda model: tall)
    settings = {"kind": "timm", "model": "test_vit"}
    message = refusal(lambda: load_backbone(settings, folders))
    assert message.startswith("backbone.size: 'test_vit' takes images of 32 x 24 pixels")
    assert "Set backbone.size=24" in message
    assert load_backbone(settings | {"size": 24}, folders).transform.size == 24


def test_weights_with_another_classifier_or_none(save_timm, folders):
    saved = save_timm("test_resnet")
    x = images(160)
    expected = TimmBackbone(folders=folders, model="test_resnet").load(CPU)(x)
    stored = load_file(saved.path)
    ten = stored | {"fc.weight": torch.zeros(10, 96), "fc.bias": torch.zeros(10)}
    none = {name: value for name, value in stored.items() if not name.startswith("fc.")}
    more = stored | {"momentum": torch.zeros(3)}
    wrapped = {f"module.{name}": value for name, value in none.items()}
    for changed in (ten, none, more, wrapped):
        save_file(changed, saved.path)
        assert close(TimmBackbone(folders=folders, model="test_resnet").load(CPU)(x), expected)
    torch.save({"state_dict": none, "epoch": 3}, "own.pth")
    local = TimmBackbone(folders=folders, model="test_resnet", weights="own.pth")
    assert close(local.load(CPU)(x), expected)


def test_weights_that_lack_a_tensor_are_not_filled_up_at_random(save_timm, folders):
    saved = save_timm("test_resnet")
    stored = load_file(saved.path)
    del stored["layer2.0.bn1.weight"]
    save_file(stored, saved.path)
    backbone = TimmBackbone(folders=folders, model="test_resnet")
    assert "layer2.0.bn1.weight" in refusal(lambda: backbone.load(CPU))


@pytest.mark.parametrize(("model", "other"), [("test_resnet", "test_vit"),
                                              ("test_vit", "test_resnet"),
                                              ("resnet10t", "test_resnet")])  # fmt: skip
def test_weights_of_another_network(save_timm, folders, model, other):
    path = save_timm(other).path
    backbone = TimmBackbone(folders=folders, model=model, weights=str(path))
    message = refusal(lambda: backbone.load(CPU))
    assert f"{path} does not load into '{model}'" in message
    assert len(message) < 500


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_truncated_weights(save_timm, folders, suffix):
    path = save_timm("test_resnet", suffix=suffix).path
    whole = path.read_bytes()
    for damaged in (whole[:-1000], whole[:100], b"", b"404: Not Found"):
        path.write_bytes(damaged)
        backbone = TimmBackbone(folders=folders, model="test_resnet")
        assert str(path) in refusal(lambda model=backbone: model.load(CPU))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_checkpoint_is_not_run(save_timm, folders, workplace):
    class Bomb:
        def __reduce__(self):
            return open, ("exploded", "w")

    saved = save_timm("test_resnet")
    bombs = [dict(saved.model.state_dict(), bomb=Bomb()), Bomb(), saved.model]
    for bomb in bombs:
        torch.save(bomb, "bomb.pth")
        backbone = TimmBackbone(folders=folders, model="test_resnet", weights="bomb.pth")
        message = refusal(lambda model=backbone: model.load(CPU))
        assert "could run code" in message
        assert "safetensors" in message
    (workplace / "bomb.pth").write_bytes(pickle.dumps({"x": Bomb()}))
    assert "could run code" in refusal(
        lambda: TimmBackbone(folders=folders, model="test_resnet", weights="bomb.pth").load(CPU)
    )
    assert not (workplace / "exploded").exists()


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_program_is_not_a_checkpoint(save_timm, folders, workplace):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "program.pt")
    backbone = TimmBackbone(folders=folders, model="test_resnet", weights="program.pt")
    assert "a TorchScript program" in refusal(lambda: backbone.load(CPU))
    torch.save([1, 2], "list.pt")
    backbone = TimmBackbone(folders=folders, model="test_resnet", weights="list.pt")
    assert "holds a list" in refusal(lambda: backbone.load(CPU))


def test_changed_weights_are_another_key(save_timm, folders):
    keys = []
    for seed in (0, 1):
        save_timm("test_resnet", seed)
        keys.append(TimmBackbone(folders=folders, model="test_resnet").weights_digest)
    assert keys[0] != keys[1]


def test_hashes_of_several_weights_files_are_remembered(save_timm, folders, monkeypatch):
    from fewshot import files

    hashed = []
    digest = files.file_digest
    monkeypatch.setattr(files, "file_digest", lambda p: hashed.append(p.name) or digest(p))
    for name in ("test_resnet", "test_vit"):
        save_timm(name)
    for _ in range(2):
        for name in ("test_resnet", "test_vit"):
            assert TimmBackbone(folders=folders, model=name).weights_digest
    assert hashed == ["test_resnet.safetensors", "test_vit.safetensors"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "backbone.model: expected the name of a timm model"),
        ({"model": "resnet1"}, "timm has no model 'resnet1'. Did you mean 'resnet18'"),
        ({"model": "qqq"}, "timm has no model 'qqq'. There are "),
        ({"model": "resnet18.a1_in2k"}, "timm has no weights 'resnet18.a1_in2k'. Did you mean"),
        ({"model": 18}, "timm has no model '18'"),
        ({"model": "resnet18", "feature": "clss"}, "backbone.feature: expected one of 'pooled'"),
        ({"model": "resnet18", "size": 0}, "backbone.size: expected an integer >= 1, got 0"),
        ({"model": "resnet18", "sizes": 32}, "backbone: 'timm' has no setting 'sizes'. Did you"),
    ],
)
def test_settings_that_make_no_sense(folders, settings, message):
    assert message in refusal(lambda: load_backbone({"kind": "timm", **settings}, folders))


def test_weights_that_are_not_where_they_were_said_to_be(folders, workplace):
    for file, what in (("no.pth", "nothing there"), (str(workplace), "a folder")):
        backbone = TimmBackbone(folders=folders, model="resnet18", weights=file)
        assert f"backbone.weights: expected a file, got {what}" in refusal(backbone.weights_file)


@pytest.fixture
def no_network(monkeypatch, workplace):
    """The hub's client cannot connect, and its cache is empty."""
    import socket

    from huggingface_hub import constants

    def refuse(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(workplace / "hub"))


def test_weights_out_of_reach(folders, no_network, capfd):
    begun = time.perf_counter()
    message = refusal(load_backbone("resnet18", folders).weights_file)
    assert time.perf_counter() - begun < 5
    assert message.startswith("backbone: the weights of 'resnet18.a1_in1k' are not on this machine")
    assert "model.safetensors of the hub's timm/resnet18.a1_in1k" in message
    assert str(folders.weights / "resnet18.a1_in1k.safetensors") in message
    assert "backbone.weights=FILE" in message
    assert capfd.readouterr().err == ""  # none of the client's own complaints


def test_clip_weights_out_of_reach(folders, no_network):
    message = refusal(load_backbone("clip_vitb32", folders).weights_file)
    assert "open_clip_model.safetensors of the hub's " in message
    assert str(folders.weights / "ViT-B-32-quickgelu-openai.safetensors") in message


def test_the_hub_is_asked_for_one_file_after_the_other(folders, monkeypatch):
    import huggingface_hub

    requests = []

    def download(repository, file):
        requests.append((repository, file))
        if file.endswith(".safetensors"):
            raise FileNotFoundError(file)
        return f"/there/{file}"

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(weights, "_call_hub", lambda: None)
    path = load_backbone("resnet18", folders).weights_file()
    assert str(path) == "/there/pytorch_model.bin"
    assert [file for _, file in requests] == ["model.safetensors", "pytorch_model.bin"]


def test_what_the_hub_gave_earlier_needs_no_network(folders, monkeypatch, no_network):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda _, file: f"/c/{file}")
    assert str(load_backbone("resnet18", folders).weights_file()) == "/c/model.safetensors"
