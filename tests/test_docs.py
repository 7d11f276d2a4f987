"""What the pages point to exists: links, files and modules of the project."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# The changelog names modules as they were called before.
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]


def names(pages):
    return [page.relative_to(ROOT).as_posix() for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PRESENT, ids=names(PRESENT))
def test_named_files_of_the_project_exist(page):
    text = page.read_text(encoding="utf-8")
    # Of the project's folders, or below fewshot/, as the map and the decisions name them.
    files = re.findall(r"`((?:[a-z_]+/)+[\w.]+\.(?:py|json))`", text)
    missing = [
        name
        for name in files
        if not any((root / name).exists() for root in (ROOT, ROOT / "fewshot"))
    ]
    assert missing == []


@pytest.mark.parametrize("page", PRESENT, ids=names(PRESENT))
def test_named_modules_exist(page):
    text = page.read_text(encoding="utf-8")
    named = {match.rstrip(".") for match in re.findall(r"\b(fewshot(?:\.[a-z_0-9]+)+)", text)}
    imported = re.findall(r"(?m)^from (fewshot[\w.]*) import", text)

    def exists(module):
        path = ROOT.joinpath(*module.split("."))
        return path.is_dir() or path.with_suffix(".py").is_file()

    def known(name):  # a module, or a name in one
        return exists(name) or exists(name.rpartition(".")[0])

    assert [name for name in imported if not exists(name)] == []
    assert [name for name in sorted(named) if not known(name)] == []
