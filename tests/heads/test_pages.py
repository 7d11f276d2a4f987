"""The pages of the heads say what the code does: how many there are, and the values of defaults."""

import inspect
import re
from pathlib import Path

import pytest

from fewshot.heads import heads

ROOT = Path(__file__).parents[2]
PAGES = {"zs_lp": "clap"}  # of heads that share the page of another
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def table_rows(text):
    """Header and cells of every row of the tables of a page."""
    header = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not line.startswith("|"):
            header = None
        elif header is None:
            header = cells
        elif set(line) - set("|:- "):
            yield header, cells


def listed_defaults(text):
    """Parameter and default of each row of tables with the columns parameter and default."""
    for header, (names, default, *_) in table_rows(text):
        if not header[1].startswith("default") or not re.fullmatch(r"(`\w+`(, | )?)+", names):
            continue
        parameters = re.findall(r"`(\w+)`", names)
        values = default.split(", ") if len(parameters) > 1 else [default]
        if len(values) == len(parameters):
            yield from zip(parameters, values, strict=True)


def says(text, value):
    """Whether a cell begins with this value, as pages write it: ``auto: 2 at one shot``."""
    word = re.match(r"`?([^\s,:;`]*)", text)[1]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return bool(re.fullmatch(r"[\d.e+-]+", word)) and float(word) == value
    return word in ({"none", "null"} if value is None else {str(value).lower()})


@pytest.mark.parametrize("name", heads.names())
def test_defaults_of_a_page_are_those_of_the_code(name):
    text = (ROOT / f"docs/heads/{PAGES.get(name, name)}.md").read_text(encoding="utf-8")
    accepted = inspect.signature(heads[name].load()).parameters
    wrong = [
        (parameter, written, accepted[parameter].default)
        for parameter, written in listed_defaults(text)
        if parameter in accepted and not says(written, accepted[parameter].default)
    ]
    assert wrong == []


def test_every_head_is_in_the_overview_and_the_count_is_right():
    overview = (ROOT / "docs/heads/README.md").read_text(encoding="utf-8")
    assert [name for name in heads.names() if f"[`{name}`](" not in overview] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tens, ones = re.search(r"(?i)(\w+)-(\w+)\sheads, all episodes at once", readme).groups()
    count = TENS[tens.lower()] + (ONES.index(ones) if ones else 0)
    assert count == len(heads.names())
