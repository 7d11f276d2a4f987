"""Tokenizers and text encoders of open_clip's models; most need no network connection."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.base import CountTokens, EncodeText
from fewshot.backbones.texts import encode_in_batches, text_list
from fewshot.backbones.weights import OutOfReachError, from_hub
from fewshot.exceptions import FewshotError, install_command

# Files of a tokenizer in a repository of the hub.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def text_encoder(model: Any, tokenizer: Any, device: torch.device) -> EncodeText:
    """A function from T texts to features (T, D), not normalised, float32, on the CPU.

    A text beyond the model's context length is cut off there, as open_clip does, silently.
    """

    def encode(texts: list[str]) -> Tensor:
        rows: Tensor = model.encode_text(tokenizer(texts).to(device))
        return rows

    def features(texts: Sequence[str]) -> Tensor:
        return encode_in_batches(encode, texts)

    return features


def token_counter(tokenizer: Any) -> CountTokens:
    """A function from T texts to their numbers of tokens, special tokens included."""
    if not hasattr(tokenizer, "tokenizer"):  # CLIP's own: a start and an end
        return lambda texts: [len(tokenizer.encode(text)) + 2 for text in text_list(texts)]
    # "clips" adds a start, an end and a class token by itself.
    by_itself = 3 if tokenizer.tokenizer_mode == "clips" else 0

    def count(texts: Sequence[str]) -> list[int]:
        codes = tokenizer.tokenizer(
            [tokenizer.clean_fn(text) for text in text_list(texts)],
            add_special_tokens=not by_itself,
            padding=False,
            truncation=False,
            verbose=False,  # of texts that are too long
        )
        return [len(code) + by_itself for code in codes["input_ids"]]

    return count


def load_tokenizer(model: str, label: str, repository: str, folder: Path) -> Any:
    """The tokenizer that belongs to a model of open_clip.

    CLIP's comes with open_clip. SigLIP and others have one on the hub, which ``transformers``
    reads; the folders ``<folder>/<label>-tokenizer`` and ``<folder>/<repository>`` go first.

    Parameters
    ----------
    model : str
        open_clip's name.
    label : str
        ``<model>-<tag>``.
    repository : str
        Of the weights, which often has the tokenizer as well.
    folder : Path
        Of weights.

    Raises
    ------
    FewshotError
        ``transformers`` or the files are missing; says what to put where.
    """
    import open_clip

    settings = open_clip.get_model_config(model)["text_cfg"]
    source = settings.get("hf_tokenizer_name")
    if not source:
        return open_clip.get_tokenizer(model)
    expect_tokenizer_package(model)
    place = _tokenizer_folder(model, source, [f"{label}-tokenizer", repository, source], folder)
    return _read(model, place, settings)


def expect_tokenizer_package(model: str) -> None:
    """Raise if the tokenizer of `model` needs ``transformers`` and that is not installed.

    Nothing else: ``transformers`` reads ``tokenizer.json`` without sentencepiece.
    """
    import open_clip

    needed = open_clip.get_model_config(model)["text_cfg"].get("hf_tokenizer_name")
    if needed and find_spec("transformers") is None:
        raise FewshotError(
            "backbone",
            f"the tokenizer of {model!r} needs the package transformers, which is not installed",
            f"Run: {install_command('siglip')}; or: pip install transformers.",
        )


def _tokenizer_folder(model: str, source: str, names: list[str], folder: Path) -> Path:
    for name in filter(None, names):
        if any((folder / name / file).is_file() for file in TOKENIZER_FILES[:2]):
            return folder / name
    try:
        # File by file, so that a machine without network fails in seconds.
        paths = [from_hub(source, [file], source, folder) for file in TOKENIZER_FILES[:2]]
    except FewshotError as error:
        failure = error.failure if isinstance(error, OutOfReachError) else None
        reason, remedy = (f": {failure.what}", failure.remedy) if failure else ("", "")
        raise FewshotError(
            "backbone",
            f"the tokenizer of {model!r} is not on this machine and cannot be downloaded{reason}",
            f"{remedy} {'Or get' if remedy else 'Get'} {', '.join(TOKENIZER_FILES)} of the hub's "
            f"{source} and put them into {folder / names[0]}.",
        ) from None
    return paths[0].parent


def _read(model: str, place: Path, settings: dict[str, Any]) -> Any:
    from open_clip.tokenizer import HFTokenizer

    try:
        return HFTokenizer(
            str(place),
            context_length=settings.get("context_length", 77),
            tokenizer_mode=settings.get("tokenizer_mode"),
            local_files_only=True,
            trust_remote_code=False,  # a tokenizer may come with a program: never run
            **settings.get("tokenizer_kwargs", {}),
        )
    except Exception as error:  # the parsers raise errors of any type
        brief = " ".join(str(error).split())[:200]
        raise FewshotError(
            "backbone",
            f"{str(place)!r} has no tokenizer that {model!r} can use ({brief})",
            f"It should have {', '.join(TOKENIZER_FILES)}.",
        ) from None
