"""Names from the data are not executed, and only the page's own script runs."""

from __future__ import annotations

HOSTILE = "</script><script>window.hacked = 1</script>"
IMAGE = '"><img src=x onerror="window.hacked = 2">'


def test_names_do_nothing(visit, folder, payloads, few, column, drawn):
    names = {"heads": (HOSTILE, IMAGE), "classes": [HOSTILE, IMAGE] * 5, "files": [IMAGE] * 9}
    payload = payloads.make_payload(**(few | names), thumbnails=0)
    payload["datasets"]["eurosat"]["thumbnails"] = {"0": "https://example.org/x.png"}
    payload |= {"failed": [IMAGE], "left_out": [HOSTILE], "unreadable": [IMAGE]}
    answer = [{"heading": HOSTILE, "lines": [IMAGE]}]
    page = drawn(visit(payloads.write_page(folder / "hostile.html", payload, answer)))
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert page.locator(".episode .classes strong").first.inner_text() in (HOSTILE, IMAGE)
    assert set(column(page, "Head")) == {HOSTILE, IMAGE}


def test_nothing_but_its_own_script_may_run(browser, small, folder):
    text = small.read_text(encoding="utf-8")
    path = folder / "injected.html"
    more = "<script>window.hacked = 3</script><img src=x onerror='window.hacked = 4'>"
    path.write_text(text.replace("<main>", f"<main>{more}"), encoding="utf-8")
    page = browser.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    page.locator(".leaderboard tbody tr").first.wait_for()
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in refused)
    page.close()
