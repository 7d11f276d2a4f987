"""ConSE: an image in the space of a sentence encoder, by way of a classifier's class names.

Norouzi et al., Zero-Shot Learning by Convex Combination of Semantic Embeddings, ICLR 2014,
arXiv 1312.5650. No image-text pairs are involved: it is not CLIP and must not be called so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.base import (
    Backbone,
    DenseEncoder,
    DualEncoder,
    Encode,
    EncodeText,
    Folders,
    Layers,
    run_frozen,
)
from fewshot.backbones.checkpoints import read_state_dict, unfit
from fewshot.backbones.packaged import PackagedBackbone, renamed
from fewshot.backbones.sentences import (
    CONTEXT_LENGTH,
    NAME,
    SentenceEncoder,
    sentence_files,
)
from fewshot.exceptions import expect, expect_choice, expect_positive_int
from fewshot.files import file_digests

CLASSES = 1000
CLASSIFIERS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
# The scale that explains best, by cross-entropy, which ImageNet class a combination of its ten
# nearest other names stands for, among all names but those ten: names alone, no images.
LOGIT_SCALE = 28.0


class ConseBackbone(Backbone):
    """EfficientNet-Lite's ImageNet probabilities as a combination of sentence vectors, 384-d.

    With mu the mean sentence vector e(.) of the 1000 class names, a text t has the vector
    s(t) = (e(t) - mu) / |e(t) - mu| and an image the vector sum_t p_t s(name_t) / sum_t p_t over
    its T most probable classes.

    Parameters
    ----------
    name : str
    folders : Folders
    model : {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}
        The ImageNet classifier.
    top : int
        T; 10 as in the paper.
    feature : {"projection"}
        The space that texts share.
    size : int, optional
        Input pixels; those that the classifier was trained for by default.
    """

    has_text = True

    def __init__(
        self,
        name: str = "conse_lite0",
        folders: Folders | None = None,
        model: str = "efficientnet_lite0",
        top: int = 10,
        feature: str = "projection",
        size: int | None = None,
    ) -> None:
        expect(
            feature == "projection",
            "backbone.feature",
            f"ConSE backbones have 'projection' features, got {feature!r}",
        )
        expect_choice("backbone.model", model, CLASSIFIERS)
        expect_positive_int("backbone.top", top)
        expect(top <= CLASSES, "backbone.top", f"expected at most {CLASSES}, ImageNet's, got {top}")
        self.name, self.feature, self.top = name, feature, int(top)
        self.folders = folders or Folders(Path())
        self.images = PackagedBackbone(name, folders, model, size=size)
        self.transform = self.images.transform

    def architecture(self) -> dict[str, Any]:
        """Both networks, T and the class names."""
        names = hashlib.sha256("\n".join(class_names()).encode()).hexdigest()
        settings = {"text": NAME, "top": self.top, "class_names": names}
        return self.images.architecture() | settings

    def weights_file(self) -> Path:
        """File of the classifier; raises if the sentence encoder is missing."""
        sentence_files()
        return self.images.weights_file()

    def check_text(self) -> None:
        """Raise if the sentence encoder's package is missing."""
        sentence_files()

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 over the SHA-256 of the classifier, the sentence encoder and its tokenizer."""
        index = None if self.folders.cache is None else self.folders.cache / f"{self.name}.json"
        digests = file_digests([self.weights_file(), *sentence_files()], index)
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def load(self, device: torch.device) -> Encode:
        """Images to combinations of class vectors, not normalised."""
        return self.load_dual(device).encode_image

    def load_dense(self, device: torch.device, layers: Layers = "multilayer") -> DenseEncoder:
        """Maps of the stages of the classifier, which know nothing of texts."""
        return self.images.load_dense(device, layers)

    def load_dual(self, device: torch.device) -> DualEncoder:
        """Image and text encoder in the space of the centred sentence vectors."""
        network = self._classifier(self.weights_file())
        sentences = SentenceEncoder(device)
        names = sentences(class_names())
        encode_text = centred(sentences, names.mean(0))
        vectors = normalize(names - names.mean(0), dim=-1).to(device)

        def encode(images: Tensor) -> Tensor:
            return combination(network(images).softmax(-1), vectors, self.top)

        return DualEncoder(
            run_frozen(network, device, encode),
            encode_text,
            LOGIT_SCALE,
            0.0,
            CONTEXT_LENGTH,
            sentences.count_tokens,
        )

    def _classifier(self, path: Path) -> Any:
        """The network from images (B, 3, S, S) to logits (B, 1000)."""
        import timm

        network: Any = timm.create_model(self.images.wheel.network, pretrained=False)
        stored = read_state_dict(self.name, path)
        try:
            network.load_state_dict(renamed(stored, network.state_dict()))
        except (RuntimeError, ValueError) as error:
            raise unfit(self.name, path, error) from None
        return network


def combination(probabilities: Tensor, vectors: Tensor, top: int) -> Tensor:
    """Convex combinations (B, D) of class vectors (C, D) by the `top` largest of (B, C)."""
    weights, chosen = probabilities.topk(top, dim=-1)
    weights = weights / weights.sum(-1, keepdim=True)
    return (weights.unsqueeze(1) @ vectors[chosen]).squeeze(1)


def centred(sentences: EncodeText, centre: Tensor) -> EncodeText:
    """An encoder with the unit vectors of `sentences` minus `centre` (D,)."""

    def encode(texts: Sequence[str]) -> Tensor:
        return normalize(sentences(texts) - centre, dim=-1)

    return encode


def class_names() -> tuple[str, ...]:
    """One everyday name per ImageNet class, in the order of the classifier's outputs.

    open_clip's list, which sets classes of one name apart ("crane bird", "construction crane");
    WordNet's, which timm carries, adds synonyms and Latin that users' class names do not have.
    """
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    return tuple(IMAGENET_CLASSNAMES)
