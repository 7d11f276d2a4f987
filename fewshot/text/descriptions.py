"""Descriptions of classes on disk: one JSON file per data set, model and prompt.

The dataclasses are pydantic's, and serve as the schema of the files.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
import unicodedata
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, ValidationError, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from fewshot.datasets.classnames import folded
from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, plain_name, writing
from fewshot.text.class_files import read_content, texts_in
from fewshot.text.prompts import in_text, readable

FORMAT = 1
KIND = "descriptions"
KINDS = (KIND, "confusers")
# Characters of one text, texts of one class, and those of one class in files of others.
LONGEST, MOST, MOST_OF_OTHERS = 20_000, 100, 1000
LISTED = "expected a list of 1 to {} texts"
SETTING = "text.descriptions"
Form = TypeVar("Form", bound="Descriptions")


def fault(text: object) -> str | None:
    """Reason why a text cannot be a description; None if it can."""
    if not isinstance(text, str):
        return "it is no text"
    if not text.strip():
        return "it is empty"
    if len(text) > LONGEST:
        return f"it has {len(text)} characters, more than {LONGEST}"
    # Cc, Cf, Co, Cs, Cn: nothing that anyone can see.
    odd = [c for c in text if unicodedata.category(c).startswith("C") and c not in "\n\r\t"]
    return f"it has the character U+{ord(odd[0]):04X}" if odd else None


def _shown(text: str, info: ValidationInfo) -> str:
    """A text that terminals show and files hold; raise if it has control characters."""
    if any(unicodedata.category(c).startswith("C") and c not in "\n\t" for c in text):
        problem = f"expected {info.field_name!r} to have no control characters"
        raise ValueError(f"{problem}, got {reprlib.repr(text)}")
    return text


Line = Annotated[str, AfterValidator(_shown)]


@dataclass
class Descriptions:
    """Texts about classes, and their origin.

    Attributes
    ----------
    classes : dict of str to list of str
        Texts by class name.
    dataset, model, prompt, created : str
        Data set, language model, name and version of the prompt, time; "unknown" if not recorded.
    question : dict
        The prompt in full.
    settings : dict
        Settings of the language model.
    refused : dict of str to list of str
        Reasons why answers were not used, by class name.
    sha256 : str
        Of the file it was read from; empty for none.
    """

    # Overridden by other files of answers about classes: kind, the command that makes them, the
    # setting that names them, the check of a text, the most texts of a class, and the texts in a
    # text that stands alone.
    kind: ClassVar[str] = KIND
    command: ClassVar[str] = "fewshot text describe"
    setting: ClassVar[str] = SETTING
    fault: ClassVar[Any] = staticmethod(fault)
    most: ClassVar[int] = MOST
    split: ClassVar[Any] = staticmethod(lambda text: [text])

    classes: dict[str, list[str]] = field(default_factory=dict)
    dataset: Line = "unknown"
    model: Line = "unknown"
    prompt: Line = "unknown"
    created: Line = "unknown"
    question: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    refused: dict[Line, list[Line]] = field(default_factory=dict)
    sha256: str = ""

    @field_validator("classes")
    @classmethod
    def _usable(cls, classes: dict[str, list[str]]) -> dict[str, list[str]]:
        """The same classes, their texts with single spaces; raise if one cannot be used."""
        first: dict[str, str] = {}
        for name, texts in classes.items():
            _need(bool(readable(name)) and fault(name) is None, f"{name!r} is no class name")
            same_name = first.setdefault(_key(name), name)
            _need(same_name == name, f"classes {same_name!r} and {name!r} have the same name")
            listed = f"class {name!r}: {LISTED.format(cls.most)}, got {len(texts)}"
            _need(0 < len(texts) <= cls.most, listed)
            for why in filter(None, map(cls.fault, texts)):
                raise ValueError(f"class {name!r}: a text cannot be used: {why}")
        return {name: [" ".join(text.split()) for text in texts] for name, texts in classes.items()}

    def of(self, classnames: Sequence[str], ids: Sequence[str] | None = None) -> list[list[str]]:
        """Texts of each of these classes, [] for one without; spelling counts as in prompts.

        A class without texts under its name gets those under its identifier in `ids`, so that a
        file stays valid when the classes of a data set are renamed.
        """
        texts_of = {_key(name): texts for name, texts in self.classes.items()}
        pairs = zip(classnames, ids or classnames, strict=True)
        return [
            next((texts_of[key] for key in _keys(*names) if key in texts_of), []) for names in pairs
        ]

    def foreign(self, classnames: Sequence[str], ids: Sequence[str] | None = None) -> list[str]:
        """Classes of the file that are not among `classnames` and `ids`."""
        keys = {
            key
            for names in zip(classnames, ids or classnames, strict=True)
            for key in _keys(*names)
        }
        return [name for name in self.classes if _key(name) not in keys]

    @classmethod
    def of_others(cls, content: Any) -> Descriptions:
        """Texts in the content of a file that this suite did not make.

        Raises
        ------
        ValueError
            There are none in it, or one that cannot be used.
        """
        classes, common = texts_in(content, cls.split)
        _need(bool(classes or common), "it has no texts")
        _need(not common, f"it is a list of {len(common)} texts without classes")
        return DescriptionsOfOthers(classes)

    def save(self, path: Path, setting: str | None = None) -> None:
        """Write the file atomically."""
        note = {"format": FORMAT, "kind": self.kind} | vars(self)
        del note["sha256"]
        with writing(setting or self.setting, path), atomic_path(path) as partial:
            partial.write_text(json.dumps(note, indent=1, ensure_ascii=False), encoding="utf-8")


@dataclass
class DescriptionsOfOthers(Descriptions):
    """Texts about classes in a file that this suite did not make."""

    most: ClassVar[int] = MOST_OF_OTHERS


def place_of(folder: Path, dataset: str, model: str, prompt: str) -> Path:
    """The default path: ``<folder>/<dataset>-<model>-<prompt>.json``."""
    return folder / f"{'-'.join(plain_name(part, 60) for part in (dataset, model, prompt))}.json"


def fitting_files(
    folder: Path, dataset: str, model: str | None = None, form: type[Descriptions] = Descriptions
) -> list[Path]:
    """Files of a data set in `folder`, of the language model `model` if it is set."""
    fitting = []
    for path in sorted(folder.glob(f"{plain_name(dataset, 60)}-*.json")):
        answers = load_answers(path, form)
        if answers.dataset == dataset and model in (None, answers.model):
            fitting.append(path)
    return fitting


def usual_file(
    folder: Path, dataset: str, model: str | None = None, form: type[Descriptions] = Descriptions
) -> Path:
    """The only file of a data set in `folder`, of the language model `model` if it is set.

    `form` is the kind of file, descriptions or another one with answers about classes.

    Raises
    ------
    FewshotError
        None, or several.
    """
    fitting = fitting_files(folder, dataset, model, form)
    whose = f"{dataset!r}" + (f" by {model!r}" if model else "")
    if not fitting:
        problem = f"there are no {form.kind} of {whose} in {folder}"
        remedy = f"Make them with: {form.command} dataset={dataset} llm.model=..."
        raise FewshotError(form.setting, problem, remedy)
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        problem = f"there are several {form.kind} of {whose} in {folder}: {names}"
        raise FewshotError(form.setting, problem, f"Name one: {form.setting}={fitting[0]}.")
    return fitting[0]


def load_descriptions(path: Path, setting: str = SETTING) -> Descriptions:
    """Read and check a file of descriptions; see :func:`load_answers`."""
    return load_answers(path, Descriptions, setting)


def load_answers(
    path: Path, form: type[Form], setting: str | None = None, *, others: bool = True
) -> Form:
    """Read and check a file of answers about classes, of the kind `form`.

    Written by hand, it needs ``format``, ``kind`` and ``classes`` only; with `others` also any of
    the forms of :mod:`fewshot.text.class_files`.

    Raises
    ------
    FewshotError
        No such file, no texts in it, another kind of file, or a text that cannot be used.
    """
    setting = setting or form.setting
    try:
        raw, note = read_content(path, setting)
    except OSError as error:
        remedy = f"Make one with: {form.command} dataset=... llm.model=..."
        raise FewshotError(setting, f"cannot read {path} ({error.strerror})", remedy) from None
    try:
        foreign = others and not _is_ours(note)
        answers = form.of_others(note) if foreign else _ours(note, path, form, setting)
        assert isinstance(answers, form)
    except ValidationError as error:
        raise FewshotError(setting, f"{path}: {_problem(error)}") from None
    except ValueError as error:
        if isinstance(error, FewshotError):
            raise
        raise FewshotError(setting, f"{path}: {_expected(form)}, but {error}") from None
    answers.sha256 = hashlib.sha256(raw).hexdigest()
    return answers


def _is_ours(note: Any) -> bool:
    """Whether a file says that it is of this suite; in others a class may be called "kind"."""
    if not isinstance(note, dict):
        return False
    kind, version = note.get("kind"), note.get("format")
    return isinstance(version, int) or (isinstance(kind, str) and kind in KINDS)


def _expected(form: type[Descriptions]) -> str:
    ours = json.dumps({"format": FORMAT, "kind": form.kind, "classes": {}})
    return f'expected a file of kind {form.kind!r}, {{"class name": ["text"]}} or {ours}'


def _ours(note: Any, path: Path, form: type[Form], setting: str) -> Form:
    """The answers in a file of this suite."""
    kind = note.get("kind") if isinstance(note, dict) else None
    expect(kind == form.kind, setting, f"{path}: {_expected(form)}")
    version = note.get("format")
    expect(version == FORMAT, setting, f"{path}: expected format {FORMAT}, got {version!r}")
    expect("classes" in note, setting, f"{path}: expected 'classes', texts by class name")
    return form(**{key: note[key] for key in vars(form()) if key in note.keys() - {"sha256"}})


def _problem(error: ValidationError) -> str:
    """The first problem of a file in words: where, what is expected, what came."""
    problem = error.errors(include_url=False)[0]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    name, *inner = problem["loc"]
    where = f"class {inner[0]!r}: " if inner else ""
    expected = f"expected {name!r} to be a {problem['type'].removesuffix('_type')}"
    if inner[1:]:
        expected = "a text cannot be used: it is no text"
    elif inner and name == "classes":
        expected = LISTED.format(MOST)
    return f"{where}{expected}, got {reprlib.repr(problem['input'])}"


def _need(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


def _key(name: str) -> str:
    return folded(readable(name))


def _keys(name: str, class_id: str) -> dict[str, None]:
    """Keys of a class, the best first: its name, its identifier, its name without a WordNet id."""
    return dict.fromkeys(map(_key, (name, class_id, in_text(name))))
