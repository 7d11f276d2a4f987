"""What a file really is by its first bytes, whatever its name says. Standard library only."""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
import struct
from collections.abc import Callable
from pathlib import Path

HEAD, TAIL = 4096, 1024
UNPACK = " (unpack it)"
AGAIN = " (download or copy it again)"
TORCH = "a PyTorch checkpoint"

# Offset, bytes there, phrase. More specific ones first. Most are in the "magic" files of file(1).
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", "a Git LFS pointer (run git lfs pull)"),
    (0, b"/annex/objects/", "a git-annex pointer (run git annex get)"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", f"a gzip archive{UNPACK}"),
    (4, b"1AY&SY", f"a bzip2 archive{UNPACK}"),
    (0, b"\xfd7zXZ\x00", f"an xz archive{UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"a Zstandard archive{UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive{UNPACK}"),
    (0, b"Rar!\x1a\x07", f"a RAR archive{UNPACK}"),
    (257, b"ustar", f"a tar archive{UNPACK}"),
    (0, b"\x93NUMPY", "a NumPy .npy file"),
    # torch.save before version 1.6: a pickle that begins with this number.
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", TORCH),
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1", "an Arrow/Feather file"),
    (0, b"FEA1", "an Arrow/Feather file"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (512, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),  # after the text header of MATLAB 7.3
    (0, b"MATLAB 5.0 MAT-file", "a MATLAB .mat file"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (0, b"GGUF", "a GGUF model file"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.doc, .xls)"),
    (0, b"{\\rtf", "an RTF document"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF87a", "a GIF image"),
    (0, b"GIF89a", "a GIF image"),
    (0, b"II*\x00", "a TIFF image"),
    (0, b"MM\x00*", "a TIFF image"),
    (0, b"II+\x00", "a TIFF image"),
    (0, b"MM\x00+", "a TIFF image"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL image"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"8BPS", "a Photoshop image"),
    (0, b"\x00\x00\x01\x00", "an icon (.ico)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska/WebM video"),
    (0, b"OggS", "an Ogg file"),
    (0, b"ID3\x03", "an MP3 file"),
    (0, b"ID3\x04", "an MP3 file"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90\x00", "a Windows program"),
)
# First entries of zip archives by a pattern; torch.save names its folder after the file.
ZIPPED: tuple[tuple[bytes, str], ...] = (
    (rb"[^/]*/(data\.pkl|\.format_version|\.data/|byteorder|code/)", f"{TORCH} (zip)"),
    (rb"[^/]*\.npy", "a NumPy .npz file"),
    (rb"\[Content_Types\]\.xml|_rels/|docProps/", "an Office document (.xlsx, .docx)"),
    (rb"mimetypeapplication/vnd\.oasis", "an OpenDocument file (.ods, .odt)"),
)
# Brands of the containers that ISO base media files (ISO/IEC 14496-12) are.
BRANDS: tuple[tuple[bytes, str], ...] = (
    (rb"avi[fs]", "an AVIF image"),
    (rb"hei[cmsx]|hev[cmsx]|mif1|msf1|heif", "an HEIC image"),
    (rb"", "an MP4/MOV video"),
)
RIFF = {b"WEBP": "a WebP image", b"WAVE": "a WAV file", b"AVI ": "an AVI video"}
HTML = re.compile(
    rb"(<\?xml[^>]*>|<!--.*?-->|\s)*<(!doctype\s+html|html|head|body|title)\b", re.I | re.S
)
SVG = re.compile(rb"(<\?xml[^>]*>|<!--.*?-->|<!doctype[^>]*>|\s)*<svg\b", re.I | re.S)
JSON = re.compile(r'\{\s*("|\}|$)|\[\s*([\[{"\]]|-?\d|(true|false|null)\b|$)')


def kind_of(path: Path) -> str | None:
    """What a file is by its first bytes.

    At most 5 KiB are read, and never from pipes or devices.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str or None
        A noun phrase with its article, and what to do in brackets where the kind has a remedy:
        "a PNG image", "a Git LFS pointer (run git lfs pull)". None for what is not recognised,
        is no regular file or cannot be read.

    Examples
    --------
    >>> kind_of(Path(__file__))
    'a text file'
    """
    ends = _ends(path)
    if ends is None:
        return None
    head, tail, size = ends
    if not head:
        return f"an empty file{AGAIN}"
    if not head.strip(b"\0") and not tail.strip(b"\0"):
        return "a file full of zeros, as a download that broke off leaves it" + AGAIN
    for offset, magic, phrase in SIGNATURES:
        if head.startswith(magic, offset):
            return phrase
    for recognise in (_zip, _media, _safetensors, _pickle, _bitmap):
        if (kind := recognise(head, size)) is not None:
            return kind
    return _text(head)


def _ends(path: Path) -> tuple[bytes, bytes, int] | None:
    """The first and last bytes of a regular file and its size."""
    try:
        # A pipe would block when opened, and a device could do anything when read.
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            head = file.read(HEAD)
            size = max(len(head), os.fstat(descriptor).st_size)
            file.seek(max(0, size - TAIL))
            return head, file.read(TAIL), size
    except (OSError, ValueError):  # ValueError: a zero byte in the path
        return None


def _zip(head: bytes, size: int) -> str | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    # The name of the first entry stands 30 bytes after the beginning of its header.
    entry = head[30:200]
    return next(
        (what for names, what in ZIPPED if re.match(names, entry)), "a zip archive" + UNPACK
    )


def _media(head: bytes, size: int) -> str | None:
    if head.startswith(b"RIFF"):
        return RIFF.get(head[8:12])
    if head[4:8] != b"ftyp":
        return None
    brands = head[8 : min(len(head), struct.unpack(">I", head[:4])[0])]
    named = [brands[:4], *(brands[i : i + 4] for i in range(8, len(brands), 4))]
    # The compatible brands tell what the main one leaves open: "mif1" may be AVIF or HEIC.
    return next(what for brand, what in BRANDS if any(re.match(brand, name) for name in named))


def _safetensors(head: bytes, size: int) -> str | None:
    """A length as 8 bytes, little endian, and as many bytes of a JSON object."""
    if len(head) < 10 or not re.match(rb'\{\s*("|\})', head[8:]):
        return None
    header = struct.unpack("<Q", head[:8])[0]
    if not 2 <= header < 2**32:
        return None
    if 8 + header > size or _last_byte(head, header) > size:
        return "a safetensors file that breaks off" + AGAIN
    return "a safetensors file"


def _last_byte(head: bytes, header: int) -> int:
    """Where the last tensor of a safetensors file ends; 0 if its header is longer than `head`."""
    if 8 + header > len(head):
        return 0
    try:
        entries = json.loads(head[8 : 8 + header])
        ends = (e["data_offsets"][1] for name, e in entries.items() if name != "__metadata__")
        return 8 + header + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return 0


def _pickle(head: bytes, size: int) -> str | None:
    """Protocols 2 to 5 begin with 80 hex and their number; 4 and 5 with a frame's length too."""
    framed = head[:3] in (b"\x80\x04\x95", b"\x80\x05\x95")
    plain = (
        head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04")
        and head[2:3] in b"}]()cX\x8cKGN\x88\x89"
    )
    return "a pickle" if framed or plain else None


def _bitmap(head: bytes, size: int) -> str | None:
    fits = head.startswith(b"BM") and head[6:10] == bytes(4)
    return "a BMP image" if fits else None


def _text(head: bytes) -> str | None:
    """Marked-up or plain text; None for other bytes."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "a text file in UTF-16"
    if re.search(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]", head):  # \x1b: colours of terminals
        return None
    plain = head.removeprefix(codecs.BOM_UTF8).lstrip()
    recognised: tuple[tuple[Callable[[bytes], object], str], ...] = (
        (HTML.match, "an HTML page, often that of an error or a login (download the file again)"),
        (SVG.match, "an SVG image"),
        (re.compile(rb"<\?xml\b").match, "an XML file"),
    )
    for matches, what in recognised:
        if matches(plain):
            return what
    try:
        # The last character may be cut through.
        text = codecs.getincrementaldecoder("utf-8")().decode(plain)
    except UnicodeDecodeError:
        return "a text file that is not in UTF-8"
    return "a JSON file" if JSON.match(text) else "a text file"
