"""Checks that every link within the built site leads to a page and, with an anchor, to a place."""

from __future__ import annotations

import socket
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """Links, ids, and what a browser loads by itself, of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        found = {name: value for name, value in attrs if value}
        self.ids |= {found[name] for name in ("id", "name") if name in found and tag != "meta"}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon") and "href" in found:
            self.loaded.append(found["href"])


def broken_links(site: Path) -> list[str]:
    """Links that lead nowhere, as ``page -> link``, and what would be loaded from elsewhere.

    Parameters
    ----------
    site : Path
        Folder of the built pages.
    """
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            if not _leads(path, link, pages, is_loaded=link in page.loaded):
                broken.append(f"{path.relative_to(site)} -> {link}")
    return sorted(broken)


def _leads(path: Path, link: str, pages: dict[Path, _Page], is_loaded: bool) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return parts.scheme == "data" or not is_loaded
    target = path if not parts.path else Path(f"{path.parent}/{unquote(parts.path)}").resolve()
    if target not in pages:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in pages[target].ids


def has_network(host: str = "github.com") -> bool:
    """Whether other machines can be reached, by a connection to one."""
    try:
        with socket.create_connection((host, 443), timeout=5):
            return True
    except OSError:
        return False
