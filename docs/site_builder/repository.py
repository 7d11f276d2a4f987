"""Files of the repository as pages of the site, and where links between them lead.

Pages link to each other, and to any file of the repository, by relative paths, as code hosts show
them. On the site they stand elsewhere: ``docs/`` is the root, a README the page of its folder, and
a file that is no page (``benchmarks/speed.py``) has a page with its text. Links follow.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
# Pages outside of docs/, by patterns.
OUTSIDE = ("*.md", "examples/**/*.md", "datasets/README.md", "datasets/*/README.md")
IMAGES = (".svg", ".png", ".jpg", ".gif")
LANGUAGES = {".py": "python", ".toml": "toml", ".yaml": "yaml", ".sh": "sh", ".json": "json"}
# Code, where nothing is a link; else the target of a link or of an image.
CODE_OR_LINK = re.compile(
    r"(?ms)^ *(?P<fence>```+|~~~+).*?^ *(?P=fence) *$|`[^`\n]+`"
    r"|(?<=\]\()(?P<target>[^)\s]+)(?=[)\s])"
)


def pages() -> list[str]:
    """Paths of all pages that people wrote, relative to the repository."""
    found = {path for pattern in OUTSIDE for path in ROOT.glob(pattern)}
    found |= set((ROOT / "docs").rglob("*.md"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def site_path(path: str) -> str:
    """Where a file of the repository stands on the site: a source of Sphinx, or an image.

    Examples
    --------
    >>> site_path("docs/heads/README.md"), site_path("CHANGELOG.md"), site_path("conf/config.yaml")
    ('heads/index.md', 'project/changelog.md', 'files/conf/config.yaml.md')
    """
    place = PurePosixPath(path)
    if place.suffix in IMAGES:
        return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
    if place.suffix != ".md":
        return f"files/{path}.md"
    if len(place.parts) == 1:
        return f"project/{place.stem.lower()}.md"
    inside = PurePosixPath(path.removeprefix("docs/"))
    return str(inside.with_name("index.md") if inside.name == "README.md" else inside)


def targets(text: str) -> Iterator[str]:
    """Yield the targets of links and images of a page, code left out."""
    return (match["target"] for match in CODE_OR_LINK.finditer(text) if match["target"])


def file_of(page: str, target: str) -> str | None:
    """The file of the repository that a link leads to; None of other links.

    A folder is its README if it has one.
    """
    name = target.partition("#")[0]
    if not name or ":" in name or name.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), name))
    if path.startswith("..") or not (ROOT / path).exists():
        return None
    readme = f"{path}/README.md"
    return readme if (ROOT / readme).is_file() else path


def moved(page: str, text: str) -> str:
    """The text of a page with its links as they are on the site.

    Parameters
    ----------
    page : str
        Path relative to the repository.
    text : str
    """
    home = posixpath.dirname(site_path(page)) or "."

    def link(match: re.Match[str]) -> str:
        target = match["target"]
        path = target and file_of(page, target)
        if not path:
            return match[0]
        anchor = target.partition("#")[1:]
        return posixpath.relpath(site_path(path), home) + "".join(anchor)

    return CODE_OR_LINK.sub(link, text)


def page_of_file(path: str) -> str:
    """A page with the text of a file, or the list of the files of a folder."""
    place, fence = ROOT / path, "`" * 8
    if place.is_dir():
        names = sorted(entry.name for entry in place.iterdir() if not entry.name.startswith("."))
        body = "\n".join(f"- `{name}`" for name in names)
    elif place.suffix == ".ipynb":
        return f"---\norphan: true\n---\n\n{moved(path, notebook_text(place))}"
    else:
        language = LANGUAGES.get(place.suffix, "text")
        body = f"{fence}{language}\n{place.read_text(encoding='utf-8')}\n{fence}"
    return f"---\norphan: true\n---\n\n# {path}\n\n{body}\n"


def notebook_text(path: Path) -> str:
    """The cells of a notebook with what they printed and drew, as Markdown."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = "".join(data["image/png"]).replace("\n", "")
                parts.append(f"![what the cell drew](data:image/png;base64,{picture})")
            else:
                text = "".join(output.get("text") or data.get("text/plain", ""))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def sources() -> dict[str, str | Path]:
    """All sources of the site that are in the repository: text, or the file to copy, by path."""
    made: dict[str, str | Path] = {}
    for page in pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        made[site_path(page)] = moved(page, text)
        for path in {file_of(page, target) for target in targets(text)} - {None}:
            if PurePosixPath(path).suffix in IMAGES:
                made[site_path(path)] = ROOT / path
            elif not path.endswith(".md"):
                made[site_path(path)] = page_of_file(path)
    for name in made:
        if PurePosixPath(name).name == "index.md":
            made[name] += contents(name, made)
    return made


def contents(index: str, names: Iterable[str]) -> str:
    """A table of contents, for the side bar only, of the pages in the folder of a README."""
    folder = PurePosixPath(index).parent
    if folder == PurePosixPath("."):
        return ""
    below = [PurePosixPath(name) for name in names if name != index and name.endswith(".md")]
    pages = [
        path.relative_to(folder).with_suffix("")
        for path in below
        if path.parent == folder or (path.name == "index.md" and folder in path.parents)
    ]
    entries = "\n".join(map(str, sorted(pages)))
    return f"\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n" if pages else ""
