"""Models of open_clip with a local checkpoint: where it is found, what is refused, the cards."""

import hashlib
import shutil

import pytest
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.transform import CLIP_MEAN, CLIP_STD
from fewshot.exceptions import FewshotError
from fewshot.paths import options

CPU = torch.device("cpu")


def described(folders, **settings):
    return load_backbone({"kind": "open_clip", "model": "tiny-clip", **settings}, folders)


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_features_are_the_projections(tiny_clip, folders):
    backbone = described(folders, weights=str(tiny_clip.path))
    assert backbone.transform.size == 32
    assert (backbone.transform.mean, backbone.transform.std) == (CLIP_MEAN, CLIP_STD)
    assert backbone.name == "tiny-clip/local"
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = tiny_clip.model.encode_image(images)
    rows = backbone.load(CPU)(images)
    assert rows.shape == (3, 16)
    assert torch.allclose(rows, expected, atol=1e-5)
    assert backbone.load(CPU)(images).requires_grad is False


def test_another_input_size(tiny_clip, folders):
    backbone = described(folders, weights=str(tiny_clip.path), size=64)
    assert backbone.load(CPU)(torch.randn(1, 3, 64, 64)).shape == (1, 16)


def test_checkpoints_that_do_not_fit(tiny_clip, folders, workplace):
    whole = tiny_clip.path.read_bytes()

    def message():
        return refusal(lambda: described(folders, weights=str(tiny_clip.path)).load(CPU))

    tiny_clip.path.write_bytes(whole[:-5000])
    assert "does not load into 'tiny-clip'" in message()
    torch.save(torch.nn.Linear(2, 2).state_dict(), tiny_clip.path)
    assert "does not load into 'tiny-clip'" in message()

    class Bomb:
        def __reduce__(self):
            return open, ("exploded", "w")

    torch.save({"state_dict": Bomb()}, tiny_clip.path)
    assert "could run code" in message()
    assert not (workplace / "exploded").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": None, "pretrained": "openai"}, "backbone.model: expected a model and the tag"),
        ({"model": "ViT-B-32"}, "backbone.model: expected a model and the tag"),
        ({"model": "ViT-B-33", "pretrained": "openai"}, "Did you mean 'ViT-B-32'"),
        ({"model": "ViT-B-32", "pretrained": "opnai"}, "tagged 'opnai'. Did you mean 'openai'"),
        ({"model": "ViT-B-32", "pretrained": "openai", "feature": "clss"}, "Did you mean 'cls'"),
        ({"model": "ViT-B-32", "pretrained": "openai", "blocks": [1]}, "null with 'projection'"),
        ({"model": "ViT-B-32", "pretrained": "openai", "sha256": "1"}, "64 hexadecimal digits"),
        ({"model": "ViT-B-32", "pretrained": "openai", "size": -1}, "backbone.size"),
    ],
)
def test_settings_that_make_no_sense(folders, settings, message):
    assert message in refusal(lambda: described(folders, **settings))


CARDS = {name: card for name, card in options("backbone").items() if card["kind"] == "open_clip"}
del CARDS["open_clip"]


@pytest.mark.parametrize("name", CARDS)
def test_cards_say_what_open_clip_says(name, folders):
    import open_clip

    card = CARDS[name]
    config = open_clip.get_model_config(card["model"])
    assert card["name"] == name
    assert card["pretrained"] in open_clip.list_pretrained_tags_by_model(card["model"])
    assert card["dim"] == config["embed_dim"]
    assert card["resolution"] == config["vision_cfg"]["image_size"]
    assert f"up to {config['text_cfg']['context_length']} tokens" in card["summary"]
    weights = open_clip.get_pretrained_cfg(card["model"], card["pretrained"])
    assert card["source"] == "https://huggingface.co/" + weights["hf_hub"].rstrip("/")
    assert {"licence", "references", "parameters"} <= card.keys()
    backbone = load_backbone(name, folders)
    assert backbone.has_text
    assert not backbone.force_quick_gelu  # the card names the architecture that was trained
    assert backbone.transform.resize == weights["resize_mode"]


def test_the_activation_that_was_trained(folders):
    """open_clip would compute GELU where OpenAI's weights want QuickGELU."""
    settings = {"kind": "open_clip", "pretrained": "openai"}
    plain = load_backbone({**settings, "model": "ViT-B-32"}, folders)
    assert plain.architecture() == {"open_clip": "ViT-B-32", "quick_gelu": True}
    named = load_backbone({**settings, "model": "ViT-B-32-quickgelu"}, folders)
    assert named.architecture() == {"open_clip": "ViT-B-32-quickgelu"}


@pytest.fixture
def tagged(tiny_clip, monkeypatch):
    """``tiny-clip`` with weights tagged ``mine`` in a repository of the hub, out of reach."""
    from open_clip import pretrained

    digest = hashlib.sha256(b"program").hexdigest()
    url = f"https://openaipublic.example/clip/models/{digest}/Tiny.pt"
    config = {"url": url, "hf_hub": "someone/tiny/", "quick_gelu": True, "resize_mode": "squash"}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip", {"mine": config})
    monkeypatch.setattr("fewshot.backbones.open_clip_weights.from_hub", unreachable)
    return tiny_clip


def unreachable(repository, files, name, folder):
    raise FewshotError("backbone", f"{files[0]} of {repository} cannot be downloaded")


@pytest.mark.parametrize("place", ["tiny-clip-mine.pt", "someone/tiny/open_clip_pytorch_model.bin"])
def test_where_weights_are_looked_for(tagged, folders, place):
    backbone = described(folders, pretrained="mine")
    message = refusal(lambda: backbone.load(CPU))
    assert "open_clip_model.safetensors of someone/tiny" in message
    path = folders.weights / place
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(tagged.path, path)
    assert backbone.weights_file() == path
    rows = backbone.load(CPU)(torch.randn(2, 3, 32, 32))
    assert rows.shape == (2, 16)


def test_trained_activations_are_used(tagged, folders):
    images = torch.randn(2, 3, 32, 32)
    weights = str(tagged.path)
    gelu = described(folders, weights=weights).load(CPU)(images)
    quick = described(folders, pretrained="mine", weights=weights).load(CPU)(images)
    assert not torch.allclose(gelu, quick, atol=1e-6)
    assert torch.allclose(gelu, quick, atol=0.1)


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
def test_openais_programs_are_refused(tagged, folders):
    """The original file is TorchScript; the message names the safetensors instead."""
    original = folders.weights / "Tiny.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(original))
    backbone = described(folders, pretrained="mine")
    assert "truncated, or another file" in refusal(lambda: backbone.load(CPU))
    digest = hashlib.sha256(original.read_bytes()).hexdigest()
    backbone.config["url"] = f"https://openaipublic.example/clip/models/{digest}/Tiny.pt"
    assert "it is OpenAI's original, undamaged" in refusal(lambda: backbone.load(CPU))
    renamed = original.rename(folders.weights / "tiny-clip-mine.pt")
    message = refusal(lambda: backbone.load(CPU))
    assert f"{renamed} is a TorchScript program, which is never run" in message
    assert "open_clip_model.safetensors of the hub's someone/tiny" in message
    assert str(folders.weights / "tiny-clip-mine.safetensors") in message
