"""Build the documentation site: ``python docs/build.py [OUT] [--links]``.

The sources of Sphinx are made first, in OUT/sources: the pages of the repository with links as
they are on the site, and the generated reference. The site is OUT/html.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from site_builder import api, commands, lists, settings
from site_builder.repository import ROOT
from site_builder.repository import sources as repository_sources
from sphinx.cmd.build import main as sphinx_build

GENERATED = (api, commands, lists, settings)


def write(folder: Path, made: dict[str, str | Path]) -> None:
    """Write sources that changed and remove old ones, so that Sphinx reuses all other pages."""
    kept = set()
    for name, content in made.items():
        path = folder / name
        kept.add(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content.read_bytes()
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)
    for path in folder.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def build(out: Path, builder: str = "html", fresh: bool = False) -> int:
    """Make the sources and build; return Sphinx's exit code, 0 without a warning.

    Parameters
    ----------
    out : Path
    builder : str
        Of Sphinx.
    fresh : bool
        Build all pages anew.
    """
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    made = repository_sources()
    for part in GENERATED:
        made |= part.sources()
    write(out / "sources", made)
    options = ["-b", builder, "-c", str(ROOT / "docs"), "-d", str(out / "doctrees")]
    return sphinx_build(
        [*options, "-W", "--keep-going", "-n", "-q", str(out / "sources"), str(out / builder)]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "build" / "docs")
    parser.add_argument("--links", action="store_true", help="check the links instead")
    arguments = parser.parse_args()
    code = build(arguments.out, "linkcheck" if arguments.links else "html")
    if not code and not arguments.links:
        print(f"The site: {arguments.out / 'html' / 'index.html'}")
    sys.exit(code)
