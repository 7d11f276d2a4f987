"""The site in a browser without a network: search, narrow screens, dark mode."""

from __future__ import annotations

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium on the path")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PAGES = [
    "index.html",
    "heads/index.html",
    "results.html",
    "reference/settings/episodes.html",
    "reference/lists/backbones.html",
    "reference/python/fewshot.heads.LDA.html",
    "reference/commands/results.html",
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server(site):
    handler = functools.partial(Silent, directory=str(site.html))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def opened(browser):
    """Opens an address; the page's list `elsewhere` has requests that leave the machine."""
    pages = []

    def open_page(address, **options):
        page = browser.new_page(**options)
        page.elsewhere = []
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "http://127.0.0.1"))
                or page.elsewhere.append(request.url)
            ),
        )
        pages.append(page)
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("source", ["disk", "server"])
@pytest.mark.parametrize(
    "words, target",
    [("shot", ".html"), ("episodes.min_images", "episodes.html#episodes-min-images")],
)
def test_search(site, server, opened, source, words, target):
    base = site.html.as_uri() if source == "disk" else server
    page = opened(f"{base}/search.html?q={words}")
    page.wait_for_selector("#search-results ul.search li a")
    page.wait_for_function("document.querySelector('#search-results p.search-summary')")
    links = page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.href)")
    assert any(target in link for link in links[:3]), links[:5]
    page.goto(links[0])
    assert words.split(".")[-1] in page.inner_text("body")
    assert page.elsewhere == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_on_a_phone(site, opened, name):
    page = opened(f"{site.html.as_uri()}/{name}", viewport={"width": 390, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert (width, page.elsewhere) == (390, [])


def test_dark_mode_is_readable(site, opened):
    page = opened(f"{site.html.as_uri()}/reference/settings/episodes.html", color_scheme="dark")
    contrast = page.evaluate(
        """() => {
          const light = color => color.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0);
          const text = getComputedStyle(document.querySelector('article p')).color;
          return light(text) - light(getComputedStyle(document.body).backgroundColor);
        }"""
    )
    assert contrast > 300
