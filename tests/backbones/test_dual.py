"""Images and texts in one space, whoever provides them."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from fewshot.backbones import load_backbone
from fewshot.backbones.texts import encode_in_batches
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")
VISION = {"image_size": 32, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
EVA = {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": None, "image_size": 160}
TINY = {
    "tiny-vit": {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-resnet": {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
        "text_cfg": TEXT,
    },
    "tiny-eva": {"embed_dim": 12, "vision_cfg": EVA, "text_cfg": TEXT, "custom_text": True},
    "tiny-siglip": {
        "embed_dim": 12,
        "init_logit_bias": -10,
        "vision_cfg": VISION,
        "text_cfg": {**TEXT, "vocab_size": 8, "hf_tokenizer_name": "nobody/tiny-siglip"},
        "custom_text": True,
    },
}


@pytest.fixture
def tiny(workplace, folders):
    """Function that puts a tiny dual encoder of open_clip where weights are looked for."""
    import open_clip
    from open_clip import factory

    paths = []

    def make(name="tiny-vit", **settings):
        paths.append(workplace / f"{name}.json")
        paths[-1].write_text(json.dumps(TINY[name]))
        open_clip.add_model_config(paths[-1])
        torch.manual_seed(0)
        model = open_clip.create_model(name).eval()
        path = folders.weights / f"{name}-local.safetensors"
        save_file({key: value.clone() for key, value in model.state_dict().items()}, path)
        settings = {"kind": "open_clip", "model": name, "weights": str(path), **settings}
        return SimpleNamespace(model=model, backbone=load_backbone(settings, folders))

    yield make
    for path in paths:
        factory._MODEL_CONFIG_PATHS.remove(path)
    factory._rescan_model_configs()
    for name in TINY:
        factory._MODEL_CONFIGS.pop(name, None)


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-resnet", "tiny-eva"])
def test_open_clips_own_towers_scale_and_bias(tiny, name):
    import open_clip

    made = tiny(name)
    with torch.no_grad():
        made.model.logit_scale.fill_(3.0)
    save_file(made.model.state_dict(), made.backbone.weights)
    dual = made.backbone.load_dual(CPU)
    images = torch.randn(2, 3, *[made.backbone.transform.size] * 2)
    texts = ["a cat", "a photograph of a dog"]
    with torch.no_grad():
        expected = made.model.encode_image(images)
        expected_text = made.model.encode_text(open_clip.get_tokenizer(name)(texts))
    assert torch.allclose(dual.encode_image(images), expected, atol=1e-5)
    assert torch.allclose(dual.encode_text(texts), expected_text, atol=1e-5)
    assert dual.encode_text(texts).dtype == torch.float32
    assert dual.logit_scale == pytest.approx(torch.tensor(3.0).exp().item())
    assert (dual.logit_bias, dual.context_length) == (0.0, 8)
    assert made.backbone.has_text


def test_texts_too_long_are_cut(tiny):
    encode = tiny().backbone.load_dual(CPU).encode_text
    # Eight tokens are begin, six words, end.
    long, cut, other = encode(["one two three four five six seven", "one two three four five six",
                               "one two three four five"])  # fmt: skip
    assert torch.allclose(long, cut, atol=1e-6)
    assert not torch.allclose(cut, other, atol=1e-4)


def test_order_and_company_of_texts_do_not_matter(tiny):
    encode = tiny().backbone.load_dual(CPU).encode_text
    texts = [f"number {i}" for i in range(600)]
    together = encode(texts)
    assert together.shape == (600, 12)
    assert torch.allclose(encode(texts[::-1]).flip(0), together, atol=1e-6)
    single = torch.cat([encode([texts[i]]) for i in (0, 255, 256, 599)])
    assert torch.allclose(single, together[[0, 255, 256, 599]], atol=1e-6)


def test_texts_come_in_batches():
    sizes = []

    def encode(texts):
        sizes.append(len(texts))
        return torch.tensor([[float(text)] for text in texts], dtype=torch.float64)

    rows = encode_in_batches(encode, tuple("0123456"), at_once=3)
    assert sizes == [3, 3, 1]
    assert rows.dtype == torch.float32
    assert rows.flatten().tolist() == list(range(7))


@pytest.mark.parametrize("texts", [[], "a cat", [1, 2]])
def test_texts_must_be_a_list_of_texts(texts):
    assert "texts: expected a list of at least one text" in refusal(
        lambda: encode_in_batches(lambda batch: torch.zeros(len(batch), 1), texts)
    )


def test_a_backbone_that_sees_images_only(save_timm, folders):
    save_timm("test_vit")
    backbone = load_backbone({"kind": "timm", "model": "test_vit"}, folders)
    assert not backbone.has_text
    assert "'test_vit' has no text encoder" in refusal(lambda: backbone.load_dual(CPU))


def test_only_projections_share_the_space_of_texts(tiny):
    backbone = tiny(feature="cls").backbone
    assert not backbone.has_text
    assert "backbone.feature=projection" in refusal(lambda: backbone.load_dual(CPU))


def tokens_by_hand(visual, images):
    """States (B, 1 + L, D) after every block of open_clip's VisionTransformer."""
    states = []
    hooks = [
        block.register_forward_hook(lambda _, __, output: states.append(output.clone()))
        for block in visual.transformer.resblocks
    ]
    with torch.no_grad():
        visual(images)
        states = [visual.ln_post(tokens) for tokens in states]
    for hook in hooks:
        hook.remove()
    return states


def test_tokens_and_blocks_of_a_vision_transformer(tiny):
    made, images = tiny(), torch.randn(2, 3, 32, 32)
    tokens = tokens_by_hand(made.model.visual, images)

    def features(**settings):
        return tiny(**settings).backbone.load(CPU)(images)

    cls, mean = tokens[2][:, 0], tokens[2][:, 1:].mean(1)
    assert torch.allclose(features(feature="cls"), cls, atol=1e-5)
    assert torch.allclose(features(feature="mean"), mean, atol=1e-5)
    assert torch.allclose(features(feature="cls+mean"), torch.cat([cls, mean], 1), atol=1e-5)
    pooled = features(feature="pooled")
    assert torch.allclose(pooled @ made.model.visual.proj.detach(), features(), atol=1e-5)
    joined = torch.cat([tokens[2][:, 0], tokens[0][:, 0]], 1)
    assert torch.allclose(features(feature="cls", blocks=[-1, 0]), joined, atol=1e-5)


def test_what_is_projected_of_a_tower_of_timm(tiny):
    made, images = tiny("tiny-eva", feature="pooled"), torch.randn(2, 3, 160, 160)
    pooled = made.backbone.load(CPU)(images)
    with torch.no_grad():
        assert torch.allclose(
            made.model.visual.trunk.head(pooled), made.model.encode_image(images), atol=1e-5
        )
    assert tiny("tiny-eva", feature="cls+mean").backbone.load(CPU)(images).shape == (2, 128)


def test_maps_of_a_resnet(tiny):
    made, images = tiny("tiny-resnet", feature="mean"), torch.randn(2, 3, 64, 64)
    visual = made.model.visual
    with torch.no_grad():
        maps = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(images)))))
    assert torch.allclose(made.backbone.load(CPU)(images), maps.mean((2, 3)), atol=1e-5)
    for feature in ("pooled", "cls", "cls+mean"):
        backbone = tiny("tiny-resnet", feature=feature).backbone
        message = refusal(lambda: backbone.load(CPU))  # noqa: B023
        assert f"{feature!r} features are not defined for 'tiny-resnet'" in message


def test_blocks_are_in_the_fingerprint_only_if_set(tiny):
    plain, set_ = tiny(feature="cls").backbone, tiny(feature="cls", blocks=[-1]).backbone
    assert plain.architecture() == {"open_clip": "tiny-vit"}
    assert set_.architecture() == {"open_clip": "tiny-vit", "blocks": [-1]}
    assert "expected null with 'projection'" in refusal(lambda: tiny(blocks=[0]))
    assert "backbone.blocks" in refusal(lambda: tiny(feature="cls", blocks=[3]).backbone.load(CPU))


def test_a_tokenizer_of_the_hub(tiny, folders, monkeypatch):
    pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    monkeypatch.setattr("fewshot.backbones.open_clip_text.from_hub", unreachable)
    made = tiny("tiny-siglip")
    place = folders.weights / "tiny-siglip-local-tokenizer"
    message = refusal(lambda: made.backbone.load_dual(CPU))
    assert "tokenizer.json" in message
    assert str(place) in message

    place.mkdir()
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "cat": 3, "dog": 4}
    model = tokenizers.models.WordLevel(words, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(str(place / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    (place / "tokenizer_config.json").write_text(json.dumps(settings))
    dual = made.backbone.load_dual(CPU)
    with torch.no_grad():
        expected = made.model.encode_text(torch.tensor([[3, 4, 0, 0, 0, 0, 0, 0]]))
    assert torch.allclose(dual.encode_text(["cat dog"]), expected, atol=1e-5)
    assert (dual.logit_bias, dual.context_length) == (-10.0, 8)


def unreachable(*_):
    raise FewshotError("backbone", "no network")


def test_transformers_is_needed_and_missing(tiny, monkeypatch):
    made = tiny("tiny-siglip")
    monkeypatch.setattr("fewshot.backbones.open_clip_text.find_spec", lambda name: None)
    assert "pip install transformers" in refusal(lambda: made.backbone.load_dual(CPU))


def test_a_missing_package_is_reported_before_weights_are_downloaded(folders, monkeypatch):
    """With the extra that has it; CLIP's tokenizer needs none."""
    from fewshot.text.features import class_text_features

    monkeypatch.setattr("fewshot.backbones.open_clip_text.find_spec", lambda name: None)
    siglip = load_backbone("siglip2_vitb16", folders)
    monkeypatch.setattr(siglip, "weights_file", lambda: pytest.fail("asked for the weights"))
    settings = {"cache": folders.cache, "device": CPU}
    message = refusal(lambda: class_text_features(siglip, ["cat"], "name", **settings))
    assert "'ViT-B-16-SigLIP2' needs the package transformers" in message
    assert "pip install '.[siglip]'" in message
    load_backbone("clip_vitb32", folders).check_text()
