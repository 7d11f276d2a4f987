"""Pages of the browser tests and access to their contents."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SMALL = {"datasets": ("eurosat",), "backbones": ("resnet50",), "heads": ("ncm", "lda")}
SMALL |= {"shots": (1, 5), "points": 60}


def _payloads():
    path = Path(__file__).with_name("payloads.py")
    specification = importlib.util.spec_from_file_location("page_payloads", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def payloads():
    """The module that makes payloads and writes pages."""
    return _payloads()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Folder for pages."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def few():
    """Arguments of four cells: two heads at 1 and 5 shots."""
    return SMALL


@pytest.fixture(scope="session")
def small(folder, payloads):
    """A page of four cells."""
    return payloads.write_page(folder / "small.html", payloads.make_payload(**SMALL))


@pytest.fixture(scope="session")
def many(folder, payloads):
    """1,000 cells of classification, and some of the other tasks."""
    payload = payloads.make_payload(datasets=payloads.DATASETS[:1], points=100)
    data = next(iter(payload["datasets"].values()))
    payload["datasets"] = dict.fromkeys(payloads.DATASETS, data)
    # The numbers of one data set serve for all: only their amount matters.
    cells = [cell | {"dataset": d} for d in payloads.DATASETS for cell in payload["cells"]]
    payload["cells"] = cells + payloads.other_tasks()
    return payloads.write_page(folder / "many.html", payload)


@pytest.fixture(scope="session")
def column():
    """Texts of a column of the leaderboard."""

    def texts(page, title):
        heads = page.locator(".leaderboard thead th").all_inner_texts()
        place = next(i for i, text in enumerate(heads) if text.startswith(title))
        return page.locator(f".leaderboard tbody tr > :nth-child({place + 1})").all_inner_texts()

    return texts


@pytest.fixture(scope="session")
def numbers(column):
    """The first number of every text of a column."""
    return lambda page, title: [float(text.split()[0]) for text in column(page, title)]


@pytest.fixture(scope="session")
def drawn():
    """Function that draws all sections of a page without scrolling."""

    def draw(page):
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        return page

    return draw
