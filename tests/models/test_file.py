"""Model files: what is refused in one line, and how they are written."""

import json
import os
import stat
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

import fewshot
from fewshot.exceptions import FewshotError
from fewshot.models.card import model_card
from fewshot.models.class_labels import labels_of_names
from fewshot.models.file import (
    CHECKSUM_KEY,
    KEY,
    VERSION_KEY,
    WRITER_KEY,
    checksum,
    read_model,
)
from fewshot.models.header import Header
from fewshot.models.parts import put_together, taken_apart


def refusal(call, *arguments, **options):
    with pytest.raises(FewshotError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def saved(fitted, workplace):
    """``m.fewshot``, with its metadata and tensors."""
    path = workplace / "m.fewshot"
    fitted.save(path)
    return path


def content_of(path):
    with safe_open(path, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def rewritten(path, change=None, metadata=None, **tensors):
    """The file with another header, metadata or tensors; a tensor None is left out."""
    old, stored = content_of(path)
    header = json.loads(old[KEY])
    if change is not None:
        change(header)
    stored = {k: v for k, v in (stored | tensors).items() if v is not None}
    text = json.dumps(header)
    whole = {KEY: text, CHECKSUM_KEY: checksum(text, stored)}
    save_file(stored, path, old | whole | (metadata or {}))
    return path


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "expected a model file, as `fewshot fit` writes them, got nothing there: x"),
        (b"", "got an empty file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "got a PNG image: x"),
        (b'{"a": 1}', "got a JSON file: x"),
        (b"PK\x03\x04" + bytes(40), "got a zip archive"),
        (b"\x80\x04\x95" + bytes(50), "got a pickle: x"),
        (bytes(range(1, 200)), "got another kind of file: x"),
        (save({"w": torch.zeros(2)}), "got a safetensors file of something else: x"),
        (save({"w": torch.zeros(2)}, {VERSION_KEY: "x"}), "x is damaged: its version is 'x'"),
        (save({"w": torch.zeros(2)}, {VERSION_KEY: "0"}), "x is damaged: its version is '0'"),
        (save({"w": torch.zeros(2)}, {VERSION_KEY: "1"}), "x is damaged: its header is missing"),
        (save({"w": torch.zeros(2)}, {VERSION_KEY: "1", KEY: "{"}), "its header is no JSON"),
        (save({"w": torch.zeros(2)}, {VERSION_KEY: "1", KEY: "[]"}), "x is damaged: its header:"),
        (save({}, {VERSION_KEY: "1", KEY: "[" * 90_000}), "x is damaged"),
        (struct.pack("<Q", 2**40) + b'{"a":{}}', "got another kind of file: x"),
    ],
)  # fmt: skip
def test_other_files_are_named_by_their_kind(content, problem, workplace):
    if content is not None:
        (workplace / "x").write_bytes(content)
    assert problem in refusal(fewshot.load, "x")


def test_a_folder_and_a_pipe(workplace):
    assert "got a folder" in refusal(fewshot.load, ".")
    os.mkfifo("pipe")
    assert "got a pipe" in refusal(fewshot.load, "pipe")


def test_a_file_that_may_not_be_read_is_of_no_other_kind(saved, monkeypatch):
    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert "m.fewshot': Permission denied" in refusal(fewshot.load, saved)


def test_torn_at_any_place(saved):
    whole = saved.read_bytes()
    for length in [*range(1, 12), *range(12, len(whole), 97), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        text = refusal(fewshot.load, saved)
        assert text.startswith("path: ") and str(saved) in text


def test_bytes_that_are_others(saved, queries):
    """Whatever bit changes, the file is refused in one line, or says the same."""
    whole, expected = saved.read_bytes(), fewshot.load(saved).predict_proba(queries)
    rng = np.random.default_rng(0)
    header, refused = struct.unpack("<Q", whole[:8])[0], 0
    of_header, of_tensors = (
        rng.integers(0, header + 8, 60),
        rng.integers(header + 8, len(whole), 20),
    )
    for place in (*of_header, *of_tensors):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(broken)
        try:
            assert np.array_equal(fewshot.load(saved).predict_proba(queries), expected)
        except FewshotError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 70


def test_a_later_version_names_who_wrote_it(saved):
    rewritten(saved, metadata={VERSION_KEY: "2", WRITER_KEY: "9.1"})
    text = refusal(fewshot.load, saved)
    assert f"{saved} was written by fewshot 9.1 in version 2" in text
    assert text.endswith("Upgrade fewshot to 9.1.")


def test_an_earlier_version_is_migrated(saved, fitted, queries, monkeypatch):
    """As a later fewshot would read today's files."""

    def migrate(header, tensors):
        return header | {"name": "renamed"}, tensors

    monkeypatch.setattr("fewshot.models.file.VERSION", 2)
    monkeypatch.setattr("fewshot.models.file.MIGRATIONS", {1: migrate})
    loaded = fewshot.load(saved)
    assert loaded.header_.name == "renamed"
    assert np.array_equal(loaded.predict_proba(queries), fitted.predict_proba(queries))


def changed(**values):
    return lambda header: header.update(values)


def without(key):
    return lambda header: header.pop(key)


def test_headers_that_do_not_hold_together(saved):
    whole = saved.read_bytes()
    names = ["a|b", "*c*", "d"]
    for change, problem in (
        (without("classes"), "classes: Field required"),
        (changed(classes="abc"), "classes: Input should be a valid"),
        (changed(classes=["d", "d", "d"]), "the class 'd' is there twice"),
        (changed(classes=names[:1]), "it has 1 class name"),
        (changed(classes=[*names, "e"]), "its numbers of images are of other classes"),
        (changed(images={"a|b": 5, "*c*": 0, "d": 6}), "a class has no image"),
        (changed(images={"a|b": "5", "*c*": 4, "d": 6}), "images.a|b: Input should be a valid int"),
        (changed(normalize="l3"), "there is no normalisation 'l3'"),
        (changed(labels="code"), "there is no type of labels 'code'"),
        (lambda h: h["head"].update(name="os:getcwd"), "the head 'os:getcwd' is code"),
        (changed(values={}), "it lacks 'probabilities'"),
        (lambda h: h["head"].update(form="pickle"), "there is no form of heads 'pickle'"),
        (lambda h: h["error"].update(error=2), "the predicted error is out of range"),
        (lambda h: h["error"].update(lower=0.9, upper=0.1), "the predicted error is out of range"),
        (lambda h: h["values"]["probabilities"].update(temperature="hot"), "probabilities.temper"),
        (lambda h: h["values"]["probabilities"].pop("temperature"), "probabilities lacks 'temper"),
        (lambda h: h["values"]["probabilities"].update(more=1), "probabilities has no 'more'"),
        (lambda h: h["values"]["probabilities"].update(temperature="NaN"), "number > 0, got nan"),
        (lambda h: h["values"]["probabilities"].update(temperature=-1.0), "number > 0, got -1.0"),
        (lambda h: h["values"]["probabilities"].update(shrinkage=50.0), "[0, 1], got 50.0"),
        (lambda h: h["values"].update(probabilities=[1]), "probabilities is no object of JSON"),
        (lambda h: h["values"].update(sets="x"), "sets is no object of JSON"),
        (lambda h: h["head"].update(form="attributes"), "form 'attributes' do not classify"),
        (changed(labels="int64"), "invalid literal for int"),
        (changed(task="detection"), "expected a model for classification, got one for detection"),
    ):
        saved.write_bytes(whole)
        text = refusal(fewshot.load, rewritten(saved, change))
        assert problem in text and str(saved) in text


@pytest.mark.parametrize(
    ("part", "values", "problem"),
    [
        ("probabilities", {"temperature": -1.0}, "temperature: expected a number > 0, got -1.0"),
        ("probabilities", {"temperature": "Infinity"}, "temperature: expected a number > 0"),
        ("probabilities", {"shrinkage": 2.0}, "shrinkage: expected a number in [0, 1], got 2.0"),
        ("probabilities", {"shrinkage": -0.5}, "shrinkage: expected a number in [0, 1]"),
        ("probabilities", {"learned_on": "hope"}, "learned_on: expected one of"),
        ("sets", {"nonconformity": ["NaN"] * 15}, "sets.nonconformity: expected numbers in [0, 1]"),
        ("sets", {"weights": [-1.0] * 15}, "sets.weights: expected positive numbers"),
        ("sets", {"weights": [1.0]}, "sets.weights: expected one for every left-out shot"),
        ("sets", {"others": []}, "sets.others: expected 11 numbers that ascend"),
        ("strangers", {"unit": "NaN"}, "strangers: expected finite distances"),
        ("strangers", {"logs": ["Infinity"]}, "strangers: expected finite distances"),
        ("strangers", {"others": list(range(11, 0, -1))}, "strangers.others: expected 11 numbers"),
    ],
)
def test_numbers_of_parts_out_of_their_ranges(part, values, problem, saved):
    """They would answer, with negative probabilities or sets of all classes."""
    rewritten(saved, lambda header: header["values"][part].update(values))
    text = refusal(fewshot.load, saved)
    assert f"{saved} is damaged: {part}" in text and problem in text


def test_tensors_that_do_not_fit(saved):
    whole = saved.read_bytes()
    for tensors, problem in (
        ({"head.weights": None}, "it lacks 'head.weights'"),
        ({"strangers.means": None}, "strangers lacks 'means'"),
        ({"head.weights": torch.zeros(1, 2, 8)}, "head.weights is torch.float32 (1, 2, 8)"),
        ({"head.weights": torch.zeros(3, 8)}, "head.weights is torch.float32 (3, 8)"),
        ({"head.biases": torch.zeros(1, 4)}, "head.biases is torch.float32 (1, 4)"),
        ({"head.biases": torch.zeros(1, 3).double()}, "and head.biases torch.float64"),
        ({"head.weights": torch.zeros(1, 3, 8).long()}, "head.weights is torch.int64"),
        *(
            (
                {
                    "head.weights": torch.zeros(1, 3, 8).to(d),
                    "head.biases": torch.zeros(1, 3).to(d),
                },
                "damaged",
            )
            for d in (torch.float64, torch.float16, torch.bfloat16)
        ),
        ({"head.weights": torch.full((1, 3, 8), torch.nan)}, "head.weights has NaN or infinity"),
        ({"strangers.means": torch.zeros(3, 5)}, "damaged"),
        ({"surplus": torch.zeros(1)}, "it has a tensor too many, 'surplus'"),
    ):
        saved.write_bytes(whole)
        assert problem in refusal(fewshot.load, rewritten(saved, **tensors))


def test_shots_that_do_not_fit(make_bank_of, workplace):
    fewshot.fit(make_bank_of(), head="knn").save("m.fewshot")
    rewritten("m.fewshot", **{"head.shots": torch.zeros(14, 8)})
    assert "(14, 8), where 15 images need (15, 8)" in refusal(fewshot.load, "m.fewshot")
    rewritten("m.fewshot", **{"head.shots": torch.eye(15, 8).bfloat16()})
    assert "damaged" in refusal(fewshot.load, "m.fewshot")


def test_files_obey_the_umask(fitted, workplace):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            fitted.save("m.fewshot")
        finally:
            os.umask(before)
        assert stat.S_IMODE((workplace / "m.fewshot").stat().st_mode) == mode
        (workplace / "m.fewshot").unlink()


def test_nothing_else_than_a_model_is_replaced(fitted, workplace):
    save_file({"w": torch.zeros(2)}, "weights.safetensors")
    (workplace / "notes.txt").write_text("notes")
    (workplace / "empty").touch()
    for name, kind in (("weights.safetensors", "a safetensors file"), ("notes.txt", "a text file")):
        before = (workplace / name).read_bytes()
        text = refusal(fitted.save, name)
        assert f"expected a new file, or a model file to replace, got {kind}" in text
        assert (workplace / name).read_bytes() == before
    assert "got a folder" in refusal(fitted.save, ".")
    for name in ("empty", "new/m.fewshot", "new/m.fewshot"):
        fitted.save(name)
        assert fewshot.load(name).classes_.tolist() == ["a|b", "*c*", "d"]


def test_what_cannot_be_written_leaves_what_was_there(fitted, saved, monkeypatch):
    before = saved.read_bytes()

    def full(self, content):
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    assert "the disk is full" in refusal(fitted.save, saved)
    assert saved.read_bytes() == before and [entry.name for entry in saved.parent.iterdir()] == [
        saved.name
    ]


def test_a_thousand_classes_make_a_small_header():
    names = [f"class number {i}" for i in range(1000)]
    header = Header("classification", tuple(names), dict.fromkeys(names, 2),
                    {"name": "ncm", "parameters": {}}, None, "l2", None)  # fmt: skip
    assert len(model_card(header)) < 5_000 and len(json.dumps(asdict(header))) < 100_000
    assert "And 900 more." in model_card(header)


@dataclass(frozen=True)
class Inner:
    shares: tuple[float, ...]
    table: torch.Tensor


@dataclass(frozen=True)
class Outer:
    limit: float
    inner: Inner
    numbers: Mapping[str, float]
    known: torch.Tensor | None = None
    maybe: Inner | None = None
    words: tuple[tuple[str, int], ...] = ()


@pytest.mark.parametrize("maybe", [None, Inner((1e-300,), torch.tensor(7))])
@pytest.mark.parametrize("known", [None, torch.zeros(0, 3)])
def test_parts_of_any_kind_survive(maybe, known):
    """Infinity too, which JSON has not: of a class with one image no distance is known."""
    inner = Inner((0.1, float("inf"), float("-inf")), torch.eye(2).half())
    part = Outer(float("inf"), inner, {"x": 0.1 + 0.2}, known, maybe, (("a", 1), ("b", 2)))
    values, tensors = taken_apart("part", part)
    read = json.loads(json.dumps(values, allow_nan=False))
    again = put_together(Outer, "part", read, tensors)
    assert (again.limit, again.inner.shares, again.numbers, again.words) == (
        part.limit, inner.shares, part.numbers, part.words
    )  # fmt: skip
    assert torch.equal(again.inner.table, inner.table) and again.inner.table.dtype == torch.half
    assert (again.known is None) == (known is None) and (again.maybe is None) == (maybe is None)
    assert maybe is None or again.maybe.shares == maybe.shares


def test_models_of_one_image_per_class(make_bank_of, queries):
    fitted = fewshot.fit(make_bank_of(counts=(1, 1, 1)), head="ncm")
    fitted.save("m.fewshot")
    assert np.array_equal(fewshot.load("m.fewshot").predict_proba(queries),
                          fitted.predict_proba(queries))  # fmt: skip


@pytest.mark.parametrize("kind", ["str", "int64", "float64", "bool"])
def test_labels_keep_their_type(kind, saved):
    names = {"str": ["a", "b"], "int64": ["7", "-1"], "float64": ["0.5", "2.0"],
             "bool": ["False", "True"]}[kind]  # fmt: skip
    header = replace(read_model(saved).header, classes=tuple(names), labels=kind)
    labels = labels_of_names(header.classes, header.labels)
    assert [str(label) for label in labels.tolist()] == names
    assert type(labels.tolist()[0]).__name__ == kind.rstrip("64")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("int8", "300"), ("uint8", "-1"), ("int64", "9" * 30), ("int64", "01"), ("int64", "1.5"),
     ("float16", "0.1"), ("float32", "1e99"), ("bool", "yes")],
)  # fmt: skip
def test_labels_of_another_type_than_the_file_says(kind, name):
    """Else two classes would have the same label, or a label that nobody gave."""
    with pytest.raises(ValueError, match=r"no |invalid literal"):
        labels_of_names([name, "True" if kind == "bool" else "2"], kind)


def test_names_that_are_no_text(make_bank_of):
    fitted = fewshot.fit(make_bank_of(names=("a\udce9", "b", "c")), head="ncm")
    assert "a name is no text that a model file can hold" in refusal(fitted.save, "m.fewshot")


def test_no_module_is_imported_because_a_file_names_it(saved, workplace, monkeypatch):
    (workplace / "of_a_stranger.py").write_text("raise AssertionError('it was imported')\n")
    monkeypatch.syspath_prepend(str(workplace))
    for name in ("of_a_stranger:Head", "os:system"):
        rewritten(saved, lambda header, name=name: header["head"].update(name=name))
        # Nor later, as where a clone of the classifier is fitted.
        assert f"the head '{name}' is code" in refusal(fewshot.load, saved)
    assert "of_a_stranger" not in sys.modules


def test_a_header_without_end(saved, monkeypatch):
    monkeypatch.setattr("fewshot.models.file.LARGEST_HEADER", 1000)
    assert "kB, at most 1.0 kB" in refusal(fewshot.load, saved)
