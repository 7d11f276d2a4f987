"""``fewshot text``: from a data set to a file of descriptions, and from there to vectors."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.backbones.base import Backbone, DualEncoder
from fewshot.config.compose import settings_from
from fewshot.datasets.base import ImageDataset
from fewshot.evaluation.build import class_text, with_text
from fewshot.exceptions import FewshotError
from fewshot.features.bank import FeatureBank
from fewshot.text.descriptions import Descriptions, load_descriptions

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture
def asking(server):
    quick = ("llm.retries=1",)
    return ("text", "describe", "llm.model=a/b", f"llm.base_url={server.url}", *quick)


def test_describe_and_show(server, asking, fewshot):
    done = fewshot(*asking)
    assert done.code == 0, done.err
    file = Path("cache/descriptions/digits-a_b-visual_1.json").resolve()
    assert (
        done.out == f"10 classes of digits are described, 10 of them now.\nDescriptions: {file}\n"
    )
    assert load_descriptions(file).of(DIGITS)[3][0].startswith("The three is round")
    said = json.loads(fewshot(*asking, "--json").out)
    assert said == {"file": str(file), "classes": 10, "asked": 0}

    shown = fewshot("text", "show", str(file))
    assert "digits: 10 descriptions of 10 classes, 15 words each" in shown.out
    assert "model a/b, prompt visual@1, 20" in shown.out
    assert "zero: The zero is round" in shown.out
    assert "... and 5 more classes" in shown.out
    few = Descriptions({"Zero": ["Round."], "crab": ["Red."]}, refused={"one": ["it is empty"]})
    few.save(Path("few.json"))
    facts = json.loads(fewshot("text", "show", "few.json", "--json", "dataset=digits").out)
    assert (facts["missing"], facts["other_classes"]) == (DIGITS[1:], ["crab"])
    assert "without a description: 'one', 'two'" in fewshot(
        "text", "show", "few.json", "dataset=digits"
    ).out  # fmt: skip


def test_show_takes_texts_of_others_and_names_of_the_card(fewshot):
    texts = {"polka_dotted": ["A {} thing."], "woven": "Cloth.", "gauzzy": ["Thin.", "Sheer."]}
    Path("cupl.json").write_text(json.dumps(texts))
    facts = json.loads(fewshot("text", "show", "cupl.json", "--json", "dataset=dtd").out)
    assert (facts["kind"], facts["classes"], facts["texts"]) == ("descriptions", 3, 4)
    assert len(facts["missing"]) == 45 and facts["did_you_mean"] == {"gauzzy": "gauzy"}
    shown = fewshot("text", "show", "cupl.json", "dataset=dtd").out
    assert "of no class: 'gauzzy' (did you mean 'gauzy'?)" in shown
    Path("list.txt").write_text("cat\nfox\n")
    shown = fewshot("text", "show", "list.txt").out
    assert "2 confusers of 0 classes" in shown and "of every class: cat, fox" in shown


@pytest.mark.parametrize("odd", ["cr\u200bab", "cr\x1b[31mab", "crab\ud800"])
def test_nobody_is_asked_about_names_that_no_file_can_hold(asking, refusal, odd):
    names = np.array([odd, "ant", "bee"])
    np.savez("f.npz", features=np.eye(3, dtype="f4"), labels=np.arange(3), classnames=names)
    said = refusal(*asking, "dataset=features", "dataset.path=f.npz")
    assert said.startswith("dataset.classnames: nobody can be asked about the class 'cr")
    assert said.isprintable()


def test_a_partial_run_and_the_key(server, asking, fewshot):
    def reply(number, body):
        if "seven" in body["messages"][1]["content"]:
            return server.tools.error(f"no {server.key}", 500)
        return server.tools.described(body)

    server.reply = reply
    done = fewshot(*asking, "--output", "mine.json")
    assert done.code == 2
    last = done.err.splitlines()[-1]
    assert last.startswith("fewshot: error: llm: 1 answer is missing: status 500 (")
    assert last.endswith("What came is kept in mine.json; the same command asks for the rest.")
    assert all(headers["authorization"] == f"Bearer {server.key}" for headers in server.headers)
    files = [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert Path("mine.json").resolve() in files
    assert server.key not in done.out + done.err + "".join(path.read_text() for path in files)
    server.reply = lambda number, body: server.tools.described(body)
    assert "1 of them now" in fewshot(*asking, "--output", "mine.json").out


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent there")
def test_ctrl_c_ends_open_requests_and_keeps_what_came(server, asking):
    server.reply = lambda number, body: {
        "body": server.tools.described(body),
        "delay": 60 if number else 0,
    }
    command = [sys.executable, "-m", "fewshot", *asking, "--output", "mine.json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ends = time.monotonic() + 60
    while len(server.requests) < 5 and time.monotonic() < ends:
        time.sleep(0.05)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=30)[1]
    assert time.monotonic() - begun < 15
    assert process.returncode == 130, err
    assert "Descriptions so far are kept in mine.json." in err and "Traceback" not in err
    assert len(load_descriptions(Path("mine.json")).classes) == 1


def test_dry_run(server, asking, fewshot):
    done = fewshot(*asking, "--dry-run")
    assert done.out.startswith("10 questions (visual@1) for 10 classes of digits: ")
    assert '{"category": "zero", "images": "1,797 scans' in done.out
    facts = json.loads(fewshot("text", "describe", "-n", "--json").out)  # needs no model
    assert facts["questions"] == 10
    assert facts["first"][0]["role"] == "system"
    assert server.requests == []
    assert not Path("cache").exists()


def test_refusals(refusal, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert "expected an action, got none" in refusal("text")
    assert "Did you mean 'show'?" in refusal("text", "shwo")
    assert "expected SETTING=VALUE, got 'digits'" in refusal("text", "describe", "digits")
    assert "there is no such setting" in refusal("text", "describe", "llm.modle=x")
    for word in ("llm.backoff=1", "+llm.backoff=1"):
        assert "backoff" in refusal("text", "describe", word)
    assert "this setting was removed" in refusal("text", "describe", "llm.backoff=1")
    assert "llm.model: expected the name" in refusal("text", "describe")
    assert "secret" not in refusal("text", "describe", "llm.model=x", "llm.key=sk-secret")
    assert "secret" not in refusal("text", "describe", "-n", "llm.base_url=http://me:secret@x")
    assert "cannot read no.json" in refusal("text", "show", "no.json")
    pytest.importorskip("openai")
    assert "variable OPENAI_API_KEY, got none" in refusal("text", "describe", "llm.model=x")
    assert not Path("cache").exists()


def test_help(fewshot):
    out = fewshot("text", "--help").out
    assert all(action in out for action in ("describe", "show", "fit"))


class Letters(Backbone):
    name, feature, transform, has_text = "letters", "projection", None, True

    def weights_file(self):
        raise NotImplementedError

    def load(self, device):
        raise NotImplementedError

    def architecture(self):
        return {}

    def fingerprint(self):
        return {}

    def load_dual(self, device):
        def encode(texts):
            counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
            return torch.tensor(counts, dtype=torch.float32)

        def count(texts):
            return [len(text.split()) for text in texts]

        return DualEncoder(lambda images: images, encode, 9.0, 0.0, 20, count)


@pytest.fixture
def vectors(workplace):
    """Function from settings ``text`` to the vectors of three digits, and what a bank takes."""
    plain = settings_from([f"paths.cache={workplace / 'cache'}"])
    names, labels = ("zero", "one", "two"), torch.arange(3).numpy()
    dataset = ImageDataset("digits", labels, names, ("a", "b", "c"), None, None)

    def make(**text):
        settings = plain | {"text": plain["text"] | text}
        inputs = settings, dataset, Letters(), torch.device("cpu")
        return class_text(*inputs)

    return make


def test_settings_of_texts(vectors):
    features = vectors()
    assert features.record["templates"]["name"] == "card"
    assert (features.logit_scale, features.vectors.shape) == (9.0, (3, 26))
    assert vectors(templates="ensemble").record["pieces"] == 24
    assert vectors(templates=["{}", "one {}"]).record["pieces"] == 6
    with pytest.raises(FewshotError, match=r"text\.source: .*Did you mean 'both'"):
        vectors(source="bot")
    with pytest.raises(FewshotError, match="no descriptions of 'digits'"):
        vectors(source="both")

    made = Descriptions({"zero": ["A ring."], "one": ["A line."]}, "digits", "tiny")
    made.save(Path("cache/descriptions/digits-tiny.json"))
    with pytest.raises(FewshotError, match="1 of 3 classes have no description: 'two'"):
        vectors(source="descriptions")
    features = vectors(source="descriptions", missing="templates")
    assert features.record["without_description"] == ["two"]
    assert features.record["descriptions"]["model"] == "tiny"
    with pytest.raises(FewshotError, match=r"text\.descriptions: cannot read mine\.json"):
        vectors(source="both", descriptions="mine.json")


def test_the_record_goes_with_the_bank(vectors):
    features = vectors(templates="name")
    bare = FeatureBank(
        torch.zeros(3, 26).numpy(),
        torch.arange(3).numpy(),
        ("zero", "one", "two"),
        info={"key": "k"},
    )
    bank = with_text(bare, features)
    assert bank.info == {"key": "k", "text": features.record}
    assert json.loads(json.dumps(bank.info)) == bank.info
    assert (bank.text == features.vectors.numpy()).all()
    assert bank.logit_scale == 9.0


@pytest.fixture
def numbered(workplace):
    """A folder of images whose classes have numbers for names, and names for them."""
    from PIL import Image

    for number in range(3):
        (workplace / f"mine/class_{number}").mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (8, 8), (number * 80, i, 0)).save(f"mine/class_{number}/{i}.png")
    Path("names.txt").write_text("red\ngreen\nblue\n")
    return ("dataset=folder", "dataset.root=mine")


def test_a_model_is_not_asked_about_identifiers(server, asking, fewshot, numbered):
    for command in ("describe", "confusers"):
        refused = fewshot(asking[0], command, *asking[2:], *numbered)
        assert refused.code == 2 and refused.out == ""
        (line,) = refused.err.splitlines()
        assert line.startswith("fewshot: error: dataset.classnames: ") and "'class_0'" in line
        assert "3 of 3 class names look like identifiers" in line
        assert "dataset.classnames=FILE" in line
    assert server.requests == []
    named = fewshot(*asking, *numbered, "dataset.classnames=names.txt")
    assert named.code == 0, named.err
    assert "3 of them now" in named.out
    allowed = fewshot(*asking, "-n", *numbered, "dataset.classnames=data")
    assert allowed.code == 0 and '{"category": "class 0"' in allowed.out


def test_identifiers_are_said_before_texts_of_them_are_encoded(numbered, capsys, monkeypatch):
    from fewshot.evaluation.build import load_images

    def encode(*_, **__):
        raise FewshotError("encoder", "not reached without a word")

    monkeypatch.setattr("fewshot.text.features.text_features", encode)
    for more, said in ((), True), (("dataset.classnames=names.txt",), False):
        settings = settings_from([*numbered, *more])
        with pytest.raises(FewshotError, match="not reached"):
            class_text(settings, load_images(settings), None, torch.device("cpu"))
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == said
        for line in lines:
            assert line.startswith("fewshot: 3 of 3 class names look like identifiers, for")
