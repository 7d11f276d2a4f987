"""``fewshot text confusers``: from a data set to a file of names, and what is in it."""

import json
from pathlib import Path

import pytest

from fewshot.tasks.one_class.confusers.lists import ConfuserFile
from fewshot.text.descriptions import load_answers

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
NAMES = ["ring", "coin", "wheel", "hoop", "plate", "egg"]


@pytest.fixture
def server(server):
    """One that names confusers."""
    server.fine = server.tools.completion(json.dumps({"confusers": NAMES}))
    server.in_turn(server.fine)
    return server


@pytest.fixture
def asking(server):
    quick = ("llm.retries=1", "-k", "6")
    return ("text", "confusers", "llm.model=a/b", f"llm.base_url={server.url}", *quick)


def test_ask_and_show(server, asking, fewshot):
    done = fewshot(*asking)
    assert done.code == 0, done.err
    file = Path("cache/confusers/digits-a_b-confusers_1.json").resolve()
    assert done.out == f"10 classes of digits have confusers, 10 of them now.\nConfusers: {file}\n"
    assert load_answers(file, ConfuserFile).of(DIGITS) == [NAMES] * 10
    said = json.loads(fewshot(*asking, "--json").out)
    assert said == {"file": str(file), "classes": 10, "asked": 0}

    shown = fewshot("text", "show", str(file)).out
    assert "digits: 60 confusers of 10 classes, 1 words each" in shown
    assert "model a/b, prompt confusers@1, 20" in shown
    assert "\nzero: ring, coin, wheel, hoop, plate, egg\n" in shown
    few = ConfuserFile({"Zero": ["ring"], "crab": ["lobster"]}, refused={"one": ["it is empty"]})
    few.save(Path("few.json"))
    facts = json.loads(fewshot("text", "show", "few.json", "--json", "dataset=digits").out)
    assert facts["kind"] == "confusers"
    assert (facts["missing"], facts["other_classes"]) == (DIGITS[1:], ["crab"])
    shown = fewshot("text", "show", "few.json", "dataset=digits").out
    assert "without confusers: 'one', 'two'" in shown


def test_a_partial_run_and_the_key(server, asking, fewshot):
    def reply(number, body):
        if "seven" in body["messages"][1]["content"]:
            return server.tools.error(f"no {server.key}", 500)
        return server.fine

    server.reply = reply
    done = fewshot(*asking, "--output", "mine.json")
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.startswith("fewshot: error: llm: 1 answer is missing: status 500 (")
    assert last.endswith("What came is kept in mine.json; the same command asks for the rest.")
    files = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert Path("mine.json").resolve() in files
    assert server.key not in done.out + done.err + "".join(path.read_text() for path in files)
    server.in_turn(server.fine)
    assert "1 of them now" in fewshot(*asking, "--output", "mine.json").out


def test_dry_run(server, asking, fewshot):
    done = fewshot(*asking, "--dry-run")
    assert done.out.startswith("10 questions (confusers@1) for 10 classes of digits: ")
    assert '{"category": "zero", "number": 6, "images": "1,797 scans' in done.out
    facts = json.loads(fewshot("text", "confusers", "-n", "--json").out)  # needs no model
    assert facts["questions"] == 10
    assert '"number": 12' in facts["first"][1]["content"]
    assert server.requests == []
    assert not Path("cache").exists()


def test_refusals(refusal, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert "Did you mean 'confusers'?" in refusal("text", "confuser")
    assert "expected SETTING=VALUE, got 'digits'" in refusal("text", "confusers", "digits")
    assert "-k: expected an integer >= 1, got 0" in refusal("text", "confusers", "-k", "0")
    assert "-k: expected at most 100 names" in refusal("text", "confusers", "-k", "101")
    assert "llm.model: expected the name" in refusal("text", "confusers")
    assert "secret" not in refusal("text", "confusers", "-n", "llm.base_url=http://me:secret@x")
    Path("d.json").write_text('{"format": 1, "kind": "confusers", "classes": {"a": ["<b>"]}}')
    assert "d.json: class 'a': a text cannot be used" in refusal("text", "show", "d.json")


def test_the_help_tells_the_usual_number(fewshot):
    from fewshot.cli import text_confusers
    from fewshot.tasks.one_class.confusers import llm as asking

    assert text_confusers.COUNT == asking.COUNT
    assert "confusers" in fewshot("text", "--help").out
