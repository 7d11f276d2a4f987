"""The page of a forecast as text: what it says, what it leaves out, its size, and escaping."""

import base64
import hashlib
import os
import re
import shutil
from dataclasses import fields, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fewshot
from fewshot.datasets.files import load_files
from fewshot.evaluation.predict_inputs import labelled_folder
from fewshot.exceptions import FewshotError
from fewshot.report.forecast.confused import MATRIX, PAIRS, confused
from fewshot.report.forecast.page import forecast_page
from fewshot.report.static.page import style_sheet, write_page
from fewshot.tasks.classification.forecast.confusion import Confusion
from fewshot.tasks.classification.forecast.decision import Decision
from fewshot.tasks.classification.forecast.learning_curve import Target
from fewshot.tasks.classification.forecast.next_labels import NextLabel
from fewshot.tasks.classification.forecast.suspects import KINDS, LabelDoubt, Suspect

HEADLINE = (
    "About 14 of 100 new images would be labelled wrongly (90 % sure: 7 to 28), with ncm on net."
)
IMAGE = re.compile(r'<img class="thumb[^>]*src="data:image/webp;base64,')


FACTS = {entry.name for entry in fields(Decision)}


def page_of(task, **changes):
    """The page of a task, with other facts about it or other arguments of the page."""
    decision, arguments = task
    facts = {name: value for name, value in changes.items() if name in FACTS}
    others = {name: value for name, value in changes.items() if name not in FACTS}
    return forecast_page(replace(decision, **facts), **(arguments | others))


def with_best(task, **changes):
    """The forecasts of a task, of which the best is another in something."""
    best, *others = task[0].rows
    return [replace(best, **changes), *others]


def words_of(page):
    """Text without tags and with single spaces."""
    body = page[page.index("<body>") :]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


class Elements(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def elements(page):
    parser = Elements()
    parser.feed(page)
    return parser.found


@pytest.fixture(scope="module")
def whole(ten):
    """A page of ten classes with everything."""
    return page_of(ten)


def test_says_all_of_it_in_order(whole):
    words = words_of(whole)
    parts = [
        HEADLINE, "For 8 %", "Take ncm on net.", "10 classes, 50 images (5 of each)",
        "2026-03-01 12:00",
        "ncm on net is expected to label 14 % of new images wrongly",
        "On the line of the target: 23 images per class in all, 11 to 70.",
        "now 5 14 % 7.0 % to 28 %", "+5 10 12 % 6.0 % to 24 %",
        "12 unlabelled images", "16 % (7.0 % to 30 %)", "lda",
        "class 0 and class 1 make", "Copies", "class 0/0.jpg", "class 1/5.jpg",
        "filed under class 0 the picture of 5.jpg",
        "Perhaps of another class", "looks like class 1", "chance below 0.1 %", "Unlike the rest",
        "chance 1.2 %", "Cannot be read", "broken.jpg", "Label these first", "1 0.jpg",
        "likely class 0 (50 %)", "10 9.jpg", "roll/new/0.jpg", "The most doubtful first", "11.jpg",
        "class 0 5", "1 unlabelled image is a shot", "few images", "lda : a guess",
        "roll/other.jpg : could not be read", fewshot.__version__,
        "4-d features (pooled), weights sha256 0a1b2c3d4e5f6071", "other data sets",
    ]  # fmt: skip
    places, start = [], 0
    for part in parts:
        start = words.find(part, start)
        places.append((part, start >= 0))
        start = max(start, 0)
    assert [part for part, there in places if not there] == []


def test_the_label_in_the_greatest_doubt_is_named(ten):
    doubt = LabelDoubt("<i>a.jpg", "class 0", "class 1", -0.5, 0.3)
    words = words_of(page_of(ten, suspects=(), doubt=doubt))
    assert (
        "No label stands out. Look at <i>a.jpg (of class 0) if at any: closer to class 1" in words
    )
    assert "No label stands out" not in words_of(page_of(ten))


def test_loads_nothing_and_runs_nothing(whole):
    assert not re.search(r"https?:|<script|<link|<iframe|@import|\bon\w+=|\bstyle=", whole)
    assert not re.search(r"url\(", style_sheet("forecast"))
    (css,) = re.findall(r"<style>(.*?)</style>", whole, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', whole)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def test_identical_for_identical_inputs(ten, whole):
    assert page_of(ten) == whole


def test_small_for_ten_classes(whole):
    assert len(IMAGE.findall(whole)) == 5 + 10 + 12
    assert len(whole.encode()) < 300_000


def test_a_thousand_classes_open(task):
    page = page_of(task([f"species {c}" for c in range(1000)], shots=2))
    assert len(page.encode()) < 1_500_000
    assert page.count('<td class="right">') == MATRIX
    assert "pairs of classes with the most errors, of" in page
    assert f"the {MATRIX} of 1,000 classes" in words_of(page)


def test_names_are_text(task):
    hostile = [
        "<img src=x onerror=alert(1)>",
        "</style></title><script>alert(2)</script>",
        '"><svg onload=alert(3)>',
        "{{ 7 * 7 }}{% raw %}",
        "a\u202eb\u2066c\nd\x00e\x1b[31m",
        os.fsdecode(b"caf\xe9"),
    ]
    made = task(hostile, shots=1, files=[f"{name}.png" for name in hostile])
    rows = with_best(made, head=hostile[0], backbone=hostile[1], warnings=(hostile[2],))
    suspects = [Suspect(f"{name}.png", name, "outlier", name, 0.1, None) for name in hostile]
    suspects += [Suspect(hostile[1], hostile[2], hostile[0], hostile[1])]
    notes, supports = (hostile[1],), {hostile[1]: made[1]["supports"]["net"]}
    page = page_of(made, rows=rows, suspects=suspects, unreadable=hostile, notes=notes,
                   name=hostile[1], supports=supports)  # fmt: skip
    found, before = elements(page), elements(page_of(task([*"abcdef"], shots=1)))
    assert {tag for tag, _ in found} <= {tag for tag, _ in before} | {"small"}
    names = {name for _, attributes in found for name in attributes}
    assert names <= {name for _, attributes in before for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    assert [tag for tag, _ in found].count("style") == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\ud800-\udfff]", page)
    assert "{{ 7 * 7 }}{% raw %}" in unescape(page)
    assert page.encode()  # what is not UTF-8 in a name is written, or replaced


def test_file_names_that_are_not_utf8_have_thumbnails(task, tmp_path):
    names = (b"a/caf\xe9.png", b"a/2.png", b"b/caf\xe9.png", b"b/2.png")
    for folder in "ab":
        (tmp_path / folder).mkdir()
    for name in names:
        with Path(tmp_path, os.fsdecode(name)).open("wb") as file:
            Image.new("RGB", (40, 30), (200, 10, 10)).save(file, format="PNG")
    labelled = labelled_folder(str(tmp_path), "support", "raise")
    others = load_files([str(tmp_path)])
    suspects = [Suspect(path, "a", "outlier", "far") for path in labelled.paths]
    following = [NextLabel(path, i, "a", 0.5, 0.1, 0.01) for i, path in enumerate(others.paths)]
    page = page_of(task(["a", "b"], shots=2), suspects=suspects, next_labels=following, labels=(),
                   labelled=labelled, others=[others])  # fmt: skip
    assert len(IMAGE.findall(page)) == 8
    assert r"a/caf\xe9.png" in page
    page.encode()


def test_features_have_no_pictures(ten):
    numbers = [Suspect("3", "class 0", "copy", "as row 17", None, "17")]
    following = [NextLabel("4", 4, "class 1", 0.5, 0.1, 0.01)]
    page = page_of(ten, labelled=None, others=(), suspects=numbers, next_labels=following)
    assert "<img" not in page
    assert "row 3 filed under class 0 as row 17" in words_of(page)
    assert "1 row 4 likely" in words_of(page)
    rows = with_best(ten, backbone="unknown")[:1]
    words = words_of(page_of(ten, rows=rows, supports={"unknown": ten[1]["supports"]["net"]}))
    assert "ncm on these features is expected" in words
    assert "Features 4-d features" in words
    assert "ncm on unknown" not in words
    assert 'class="thumb' not in page


def test_a_label_that_makes_the_head_worse_is_said_to(ten):
    following = [
        NextLabel("4", 4, "class 1", 0.5, 0.3, -0.05),
        NextLabel("5", 5, "b", 0.5, 0.2, 0.1),
    ]
    words = words_of(page_of(ten, labelled=None, others=(), next_labels=following))
    assert "5.00 points more" in words.replace("\N{NO-BREAK SPACE}", " ")
    assert "10.00 points less" in words.replace("\N{NO-BREAK SPACE}", " ")
    assert "Where the error rises, a class has got an image" in words


def test_what_cannot_be_read_has_a_placeholder(task):
    names = [f"class {c}" for c in range(4)]
    page = page_of(task(names, broken=("class 0/0.jpg", "roll/new/3.jpg")))
    assert page.count("no picture") == 3  # with broken.jpg, which is in no list of images
    assert len(IMAGE.findall(page)) == 5 + 10 + 12 - 3


def test_thumbnails_have_a_budget_and_suspects_come_first(ten, whole):
    sizes = [len(url) for url in re.findall(r'src="(data:image/webp[^"]*)"', whole)]
    page = page_of(ten, thumbnail_bytes=sum(sizes[:3]))
    assert re.findall(r'src="(data:[^"]*)"', page) == re.findall(r'src="(data:[^"]*)"', whole)[:3]
    assert not IMAGE.search(page_of(ten, thumbnail_bytes=0))


def test_only_what_is_known_has_a_section(forecast_row):
    page = forecast_page(Decision([forecast_row()], {"a": 2, "b": 3}, 0.9))
    assert re.findall(r'<h2 id="(\w+)"', page) == ["interval", "heads", "classes", "made"]
    assert re.findall(r'<a href="#(\w+)">', page[page.index("<nav") :]) == re.findall(
        r'<h2 id="(\w+)"', page
    )
    assert "<title>Forecast of a few-shot task</title>" in page


def test_every_kind_of_suspect_has_words_of_its_own(ten):
    suspects = [Suspect(f"{kind}.jpg", "class 1", kind, "why", 0.02) for kind in KINDS]
    suspects += [Suspect("x.jpg", "class 1", "odd", "a kind to come")]
    page = page_of(ten, suspects=suspects)
    section = page[page.index('<h2 id="suspects"') : page.index('<h2 id="next"')]
    files = re.findall(r'<p class="file"><bdi>(\w[\w-]*)\.jpg', section)
    assert files == [*KINDS, "x"]
    assert len(set(re.findall(r"<h3>(.*?) <span", section))) == len(KINDS) + 1


def test_long_lists_are_cut_and_counted(ten):
    suspects = [Suspect(f"{i}.jpg", "class 1", "outlier", "far", i / 100) for i in range(60)]
    row = ten[1]["labels"][0]
    labels = [row | {"file": f"q{i}.jpg", "probability": i / 300} for i in range(300)][::-1]
    page = page_of(ten, suspects=suspects, labels=labels)
    assert "and 20 more" in words_of(page)
    assert "200 of 300" in words_of(page)
    shown = re.findall(r"<bdi>(q\d+)\.jpg</bdi>", page)
    assert shown == [f"q{i}" for i in range(200)]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target(0.05, 40, 12, 90, 500, False), "40 images per class in all, 12 to 90."),
        (Target(0.05, 40, None, None, 500, False),
         "40 images per class in all, few to more than 500."),
        (Target(0.1, 5, 3, 9, 500, True), None),
        (Target(0.01, None, None, None, 500, False), None),
    ],
)  # fmt: skip
def test_what_a_target_takes_is_said_below_the_curve(ten, target, words):
    caption = words_of(page_of(ten, target=target))
    if words is None:
        assert "On the line of the target" not in caption
    else:
        assert f"On the line of the target: {words}" in caption


def test_backbones_are_named_where_there_are_several(ten, forecast_row):
    other = forecast_row("ncm", 0.2, "another")
    assert "lda on net" not in words_of(page_of(ten))
    words = words_of(page_of(ten, rows=[*ten[0].rows, other]))
    assert "lda on net 17 %" in words
    assert "ncm on another 20 % 10 % to 40 % - other data sets" in words


def test_marks_on_the_scale(ten):
    page = page_of(ten).partition('<h2 id="more"')[0]
    labels = r'<text class="label"[^>]*>((?:target|fails above|guessing) [\d.]+ %)</text>'
    assert re.findall(labels, page) == ["target 8 %", "fails above 30 %", "guessing 90 %"]
    assert "Mark: target 8 %. Mark: fails above 30 %. Mark: guessing 90 %." in page
    page = page_of(ten, target=None, aim=0.125, fail_above=None).partition('<h2 id="more"')[0]
    assert re.findall(labels, page) == ["target 12.5 %", "guessing 90 %"]


def test_the_worst_pairs_and_their_classes():
    classes = [f"c{i}" for i in range(50)]
    shares = np.eye(50)
    for i in range(0, 50, 2):
        shares[i, i + 1], shares[i, i] = 0.01 * (i + 2), 1 - 0.01 * (i + 2)
    shown = confused(Confusion(tuple(classes), shares))
    assert len(shown.pairs) == PAIRS
    assert shown.pairs[0] == ("c48", "c49", "7.7 %", "50 %", "0 %")
    assert shown.more == 5
    assert [row.name for row in shown.matrix] == classes[20:]
    assert shown.matrix[-2].cells[-1] == ("50", 10, False)
    assert confused(None) is None


def test_no_error_is_no_pair(ten):
    sure = Confusion(tuple(ten[0].sizes), np.eye(10))
    page = page_of(ten, rows=with_best(ten, confusion=sure))
    assert "No two classes are expected to be confused." in page


def test_of_a_prediction(photos, tiny_net, tmp_path):
    first, second = (sorted(Path("photos").rglob("*.png"))[i] for i in (0, -1))
    shutil.copy(first, second.with_name("repeated.png"))
    (first.parent / "broken.png").write_text("no image")
    forecasts = fewshot.predict(
        "photos", backbone="callable:tiny_net:network", size=16, query=str(second.parent),
        head=["ncm", "lda"], on_error="skip", target=0.05,
    )  # fmt: skip
    forecasts.page(tmp_path / "page.html", fail_above=0.25)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    words = words_of(page)
    assert forecasts.answer.headline in words
    assert "fails above 25 %" in words
    section = page[page.index('<h2 id="suspects"') : page.index('<h2 id="labels"')]
    assert "broken.png" in section
    assert "repeated.png" in section
    assert len(IMAGE.findall(section)) >= 2
    assert page.count('class="thumb small"') == len(forecasts.label())


def test_written_whole_or_not_at_all(tmp_path, whole):
    target = tmp_path / "page.html"
    write_page(whole, target)
    assert target.read_text(encoding="utf-8") == whole
    with pytest.raises(FewshotError, match="--page"):
        write_page(whole, tmp_path)
