"""The HTML page is self-contained, safe and reproducible."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from fewshot.report import render_report, write_report
from fewshot.report.payload.html import counts, page_parts, title

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "_a % {{ 7 * 7 }}",
    "</title></svg>&amp;",
    "\u2028\u2029\x00\udcff\u202e",
    "__proto__",
)


class Page(HTMLParser):
    """Tags with attributes, visible text, and whether all elements are closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.scripts = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def page(run):
    return Page(render_report(*run))


def assert_no_requests(page):
    assert not page.of("link", "iframe", "object", "embed", "base", "form", "img")
    assert len(page.of("script")) == 2
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            assert (attributes.get(name) or "#").startswith("#")


def test_is_well_formed_and_accessible(page):
    assert not page.open
    assert page.of("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in page.of("meta"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_makes_no_request_and_runs_its_own_script_only(run, page):
    assert_no_requests(page)
    (policy,) = [meta["content"] for meta in page.of("meta") if "http-equiv" in meta]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    digest = hashlib.sha256(page.scripts[1].encode()).digest()
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "script-src": f"'sha256-{base64.b64encode(digest).decode()}'",
    }


def test_the_script_touches_neither_network_nor_markup():
    css, script = page_parts()
    assert "@import" not in css and "url(" not in css
    assert "</script" not in script.lower() and "<!--" not in script
    for word in (r"\beval\(", "innerHTML", "outerHTML", "insertAdjacent", "fetch\\(", "XMLHttp",
                 "new Function", "document.write", "import\\("):  # fmt: skip
        assert not re.search(word, script), word


def test_the_answer_stands_without_the_script(run, page):
    cell = run.summary["cells"][3]  # the best with five shots
    assert f"{cell['head']} is right in {100 * cell['accuracy']['mean']:.1f} %" in page.text
    assert "1 run, 4 cells: 1 data set, 1 backbone, 2 heads" in page.text
    assert "2026-03-01 12:00 UTC" in page.text


def test_titles_and_counts_stay_short():
    cells = [{"dataset": f"d{i}", "backbone": f"b{i % 2}", "head": "ncm"} for i in range(1200)]
    assert title(cells) == "1200 data sets with b0, b1"
    text = counts({"cells": cells, "runs": ["x"] * 7})
    assert text == "7 runs, 1,200 cells: 1,200 data sets, 2 backbones, 1 head"


def test_is_the_same_every_time(run):
    assert render_report(*run) == render_report(*run)


def hostile(make):
    run = make(
        pairs=((HOSTILE[0], HOSTILE[1]),),
        heads=(*HOSTILE[:5], HOSTILE[6]),  # tables of text hold no lone surrogates
        shots=(5,),
        estimators=HOSTILE[:5],
        classes=HOSTILE,
        ways=7,
        episodes=12,
        undefined={HOSTILE[0]: (HOSTILE[1], 0.5)},
        fallbacks={HOSTILE[1]: (HOSTILE[2], 0.5)},
    )
    run.summary["data"]["dropped_classes"] = list(HOSTILE)
    run.summary["environment"][HOSTILE[0]] = HOSTILE[5]
    run.summary["cells"][0]["head_parameters"] = {HOSTILE[0]: HOSTILE[1]}
    run.summary["failed"] = [{"head": HOSTILE[0], "shots": 1, "error": HOSTILE[1]}]
    run.summary["unreadable"] = [{"run": HOSTILE[2], "reason": HOSTILE[5]}]
    return run


def test_hostile_names_do_nothing(make, data_of):
    text = render_report(*hostile(make))
    page = Page(text)
    assert_no_requests(page)
    assert not page.open
    assert len(page.scripts) == 2
    assert "49" not in re.findall(r"_a % (\S+)", page.text)
    assert not set(text) & set("\x00\udcff\u202e\u2028\u2029")
    text.encode("utf-8")
    data = data_of(text)
    assert data == json.loads(page.scripts[0])
    assert {cell["head"] for cell in data["cells"]} >= set(HOSTILE[:5])
    (dataset,) = data["datasets"].values()
    assert set(dataset["classnames"]) == {*HOSTILE[:5], "\ufffd" * 5, "__proto__"}
    assert data["unreadable"] == [f"{HOSTILE[2]}: {chr(0xFFFD) * 5}"]
    # In the source nothing of the data can be read as a tag.
    element = text[text.index('id="data">') + 10 : text.rindex("<script>")]
    assert "<" not in element.replace("</script>\n", "").rstrip()


@pytest.mark.parametrize(
    "options",
    [
        {"heads": ("ncm",), "shots": (5,), "estimators": ("margin",)},
        {"heads": ("ncm",), "shots": (5,), "episodes": 1},
        {"heads": ("ncm",), "shots": (1,), "estimators": ("loo",)},
        {"heads": ("ncm",), "shots": (1,), "estimators": ()},
        {"pairs": (("a", "b"), ("c", "d"), ("a", "d")), "shots": (1,)},
    ],
    ids=["single", "one episode", "all undefined", "no estimator", "pairs"],
)
def test_other_sizes(make, data_of, options):
    run = make(**{"episodes": 20, **options})
    text = render_report(*run)
    page = Page(text)
    assert not page.open
    assert not re.search(r"\b(nan|None)\b", page.text)
    assert len(data_of(text)["cells"]) == len(run.summary["cells"])


def test_little_in_the_summary_is_enough(make, old, data_of):
    run = old(make(heads=("ncm",), shots=(5,), episodes=20))
    summary = {"cells": run.summary["cells"]}
    for name in ("head_parameters", "base", "hashes", "duration_s", "episodes_per_second"):
        del summary["cells"][0][name]
    (cell,) = data_of(render_report(summary, run.rows))["cells"]
    assert cell["cost"]["seconds"] is None and cell["made"]["hashes"] is None
    assert cell["points"] == 0


def test_a_run_writes_the_page_and_figures_on_request_only(make, tmp_path):
    run = make(heads=("ncm",), shots=(5,), episodes=20, estimators=("loo",))
    path = write_report(tmp_path, *run)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"] == [path.name]
    write_report(tmp_path, *run, figures=["svg", "pdf"])
    names = {file.name for file in tmp_path.iterdir()}
    assert {"error_vs_shots.svg", "error_vs_shots.pdf"} <= names
    assert not [name for name in names if name.endswith(".png")]


def test_a_page_needs_neither_matplotlib_nor_torch():
    code = (
        "import sys, fewshot.report.payload.html, fewshot.report.write\n"
        "print({'matplotlib', 'torch', 'scipy.stats'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
