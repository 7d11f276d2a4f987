"""Kinds of image files: what is read, by which extension, and what to do about the rest."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from PIL import features

from fewshot.units import joined

HEIF_EXTRA = "pip install 'fewshot-eval[heif]'"
CONVERT = "Convert {} files to JPEG or PNG"


@dataclass(frozen=True)
class ImageKind:
    """Files of one kind.

    Attributes
    ----------
    name : str
        As in the phrases of ``fewshot.file_kinds``, "HEIC" for "an HEIC image".
    extensions : tuple of str
        In lower case, with the dot.
    format : str, optional
        Pillow's name of it; None: never read.
    feature : str, optional
        What a build of Pillow needs to have for it, a name of ``PIL.features``.
    plugins : tuple of str
        Modules that teach Pillow to read it once they are imported, any of them.
    remedy : str
        What to do where it cannot be read; ``{}`` stands for the extensions.
    photographs : bool
        Whether a folder of such files is a folder of images. A drawing, or the source of a drawing
        program, may lie anywhere.
    """

    name: str
    extensions: tuple[str, ...]
    format: str | None = None
    feature: str | None = None
    plugins: tuple[str, ...] = ()
    remedy: str = CONVERT
    photographs: bool = True

    @property
    def always_read(self) -> bool:
        """Whether every Pillow reads it."""
        return self.format is not None and not self.feature and not self.plugins

    def readable(self) -> bool:
        """Whether it can be read here; imports a plug-in of Pillow if it takes one."""
        if self.format is None or self.always_read:
            return self.format is not None
        return _built_in(self.feature) or any(map(_imported, self.plugins))


# Pillow tries no other parser than these, so that a file of another kind cannot reach one.
ALWAYS = (
    ImageKind("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo"),
              "JPEG"),
    ImageKind("PNG", (".png", ".apng"), "PNG"),
    ImageKind("WebP", (".webp",), "WEBP"),
    ImageKind("BMP", (".bmp", ".dib"), "BMP"),
    ImageKind("TIFF", (".tif", ".tiff"), "TIFF"),
    ImageKind("GIF", (".gif",), "GIF"),
    ImageKind("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
)  # fmt: skip
# Their parsers are tried only where the first bytes of a file say that it is one of these.
SOMETIMES = (
    ImageKind("HEIC", (".heic", ".heif", ".hif", ".heics", ".heifs"), "HEIF",
              plugins=("pillow_heif.HeifImagePlugin", "pi_heif.HeifImagePlugin"),
              remedy=f"For {{}} files, {HEIF_EXTRA}, or convert them to JPEG"),
    ImageKind("AVIF", (".avif", ".avifs"), "AVIF", "avif",
              ("pillow_avif", "pillow_heif.AvifImagePlugin"),
              f"For {{}} files, {HEIF_EXTRA}, or convert them to JPEG"),
    ImageKind("JPEG 2000", (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), "JPEG2000",
              "jpg_2000"),
    ImageKind("JPEG XL", (".jxl",), "JXL", plugins=("pillow_jxl",),
              remedy="For {} files, pip install pillow-jxl-plugin, or convert them to JPEG"),
)  # fmt: skip
# Of cameras. Many are TIFF files, of which Pillow would read the thumbnail.
RAW = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc",
    ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2",
    ".srf", ".srw", ".x3f",
)  # fmt: skip
NEVER = (
    ImageKind("camera raw", RAW),
    ImageKind("other", (".jxr", ".wdp", ".hdp", ".bpg", ".exr", ".hdr", ".dcm", ".tga")),
    ImageKind("drawing", (
        ".svg", ".svgz", ".psd", ".psb", ".xcf", ".ai", ".eps", ".pdf", ".ico", ".icns", ".dds",
        ".pcx", ".qoi", ".xbm", ".xpm", ".wmf", ".emf",
    ), photographs=False),
)  # fmt: skip

FORMATS = tuple(str(kind.format) for kind in ALWAYS)
EXPECTED = "JPEG, PNG, WebP, BMP, TIFF, GIF or PNM"
EXTENSIONS = frozenset(extension for kind in ALWAYS for extension in kind.extensions)
KINDS = {extension: kind for kind in (*ALWAYS, *SOMETIMES, *NEVER) for extension in kind.extensions}


def extension_of(path: str | PurePath) -> str:
    """The extension of a file in lower case, with the dot; "" where there is none."""
    return PurePath(path).suffix.lower()


def kind_by_phrase(phrase: str | None) -> ImageKind | None:
    """The kind that a phrase of ``fewshot.file_kinds`` names, of those that Pillow can read."""
    for kind in (*ALWAYS, *SOMETIMES):
        if phrase in (f"a {kind.name} image", f"an {kind.name} image"):
            return kind
    return None


def remedies(extensions: Iterable[str]) -> str:
    """What to do about files with these extensions, which cannot be read: sentences, or ""."""
    wanted: dict[str, list[str]] = {}
    for extension in extensions:
        if kind := KINDS.get(extension):
            wanted.setdefault(kind.remedy, []).append(extension)
    return " ".join(f"{remedy.format(joined(names))}." for remedy, names in wanted.items())


def _built_in(feature: str | None) -> bool:
    """Whether this build of Pillow has a feature; of those that it knows."""
    if feature in features.modules:
        return bool(features.check_module(feature))
    return feature in features.codecs and bool(features.check_codec(feature))


def _imported(module: str) -> bool:
    """Whether a plug-in is there and works; importing it once more costs nothing."""
    try:
        importlib.import_module(module)
    except Exception:  # a plug-in that is broken, or of another Pillow, may raise anything
        return False
    return True
