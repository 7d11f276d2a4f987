"""What the pages point to exists: links, files and modules of the project."""

import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fewshot.heads import heads

ROOT = Path(__file__).parents[1]
FOLDERS = [ROOT / name for name in ("docs", "examples")]
PAGES = sorted([*ROOT.glob("*.md"), *(page for f in FOLDERS for page in f.rglob("*.md"))])
# The changelog names modules as they were called before.
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]


def names(pages):
    return [page.relative_to(ROOT).as_posix() for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def anchors(page):
    """Anchors of the headings of a page, as GitHub makes them."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    titles = re.findall(r"(?m)^#+ (.*)$", text)
    shown = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in shown}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_to_headings(page):
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [(target, anchor) for target, anchor in links if "://" not in target]
    pages = [(page.parent / target if target else page, anchor) for target, anchor in local]
    missing = [
        f"{place.name}#{anchor}"
        for place, anchor in pages
        if place.suffix == ".md" and anchor not in anchors(place)
    ]
    assert missing == []


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


# Of systems, not of packages.
OF_SYSTEMS = {"python", "make", "export", "git", "cd", "apt-get", "npm", "sbatch", "echo", "for"}


@pytest.mark.parametrize("page", PRESENT, ids=names(PRESENT))
def test_named_commands_exist(page):
    """Commands of packages are renamed; a page has to follow."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```(?:bash|sh)\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    words = {
        re.sub(r"^([A-Z_]+=\S+ )*", "", line).split(" ")[0] for line in lines if line[:1].isalpha()
    }
    words |= set(re.findall(r"`(hf|huggingface-cli|pip) ", text))
    scripts = set(entry_points(group="console_scripts").names) | {"pip"}
    assert words - scripts - OF_SYSTEMS == set()


def test_the_hub_s_client_is_called_by_its_present_name():
    """In messages, settings, cards and pages."""
    files = [
        path
        for folder in ("fewshot", "conf", "docs", "datasets/cards", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml")
    ]
    former = "huggingface-cli"
    assert [path.name for path in files if former in path.read_text(encoding="utf-8")] == []


HEADS = [page for page in PAGES if page.parent.name == "heads" and page.stem in heads]


@pytest.mark.parametrize("page", HEADS, ids=names(HEADS))
def test_defaults_in_the_table_of_a_head_are_its_own(page):
    """Those that are written as plain numbers or words, remarks in brackets aside."""
    accepted = inspect.signature(heads[page.stem].load()).parameters
    tables = re.findall(
        r"(?m)^\| parameter \| default[^\n]*\n[^\n]*\n((?:\|[^\n]*\n)+)",
        page.read_text(encoding="utf-8"),
    )
    for row in "".join(tables).splitlines():
        parameters, default = (cell.strip() for cell in row.split("|")[1:3])
        values = [re.sub(r" *\(.*", "", value).strip('` "') for value in default.split(",")]
        for name, value in zip(re.findall(r"`(\w+)`", parameters), values, strict=False):
            if name in accepted and (stated := plain(value)) is not None:
                assert stated == plain(str(accepted[name].default)), f"{name}: {value}"


def plain(text):
    """A number, or a word as it is; None of anything longer."""
    try:
        return float(text)
    except ValueError:
        return text.lower().replace("null", "none") if re.fullmatch(r"\w+", text) else None
