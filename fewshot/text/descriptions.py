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

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass

from fewshot.exceptions import FewshotError, expect
from fewshot.files import atomic_path, plain_name, writing
from fewshot.text.prompts import readable

FORMAT = 1
KIND = "descriptions"
# Characters of one text, texts of one class, and bytes of a file.
LONGEST, MOST, LARGEST = 20_000, 100, 256 * 2**20
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


def checked_text(text: object, why: str | None) -> str:
    """A text with single spaces; raise if there is a reason `why` it cannot be used."""
    if why is not None:
        raise ValueError(f"a text cannot be used: {why}")
    return " ".join(str(text).split())


def _class_name(name: str) -> str:
    if fault(name) is not None or not readable(name):
        raise ValueError(f"{name!r} is no class name")
    return name


def _distinct(classes: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, str] = {}
    for name in classes:
        same_name = first.setdefault(_key(name), name)
        if same_name != name:
            raise ValueError(f"classes {same_name!r} and {name!r} have the same name")
    return classes


def _shown(text: str, info: ValidationInfo) -> str:
    """A text that terminals show and files hold; raise if it has control characters."""
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text):
        problem = f"expected {info.field_name!r} to have no control characters"
        raise ValueError(f"{problem}, got {reprlib.repr(text)}")
    return text


Line = Annotated[str, AfterValidator(_shown)]
Text = Annotated[str, BeforeValidator(lambda text: checked_text(text, fault(text)))]
T = TypeVar("T")
# Texts by class name.
Classes = Annotated[
    dict[
        Annotated[str, BeforeValidator(_class_name)],
        Annotated[list[T], Field(min_length=1, max_length=MOST)],
    ],
    AfterValidator(_distinct),
]


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
    # setting that names them, and the type of `classes`.
    kind: ClassVar[str] = KIND
    command: ClassVar[str] = "fewshot text describe"
    setting: ClassVar[str] = SETTING

    classes: Classes[Text] = field(default_factory=dict)
    dataset: Line = "unknown"
    model: Line = "unknown"
    prompt: Line = "unknown"
    created: Line = "unknown"
    question: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    refused: dict[Line, list[Line]] = field(default_factory=dict)
    sha256: str = ""

    def of(self, classnames: Sequence[str], ids: Sequence[str] | None = None) -> list[list[str]]:
        """Texts of each of these classes, [] for one without; spelling counts as in prompts.

        A class without texts under its name gets those under its identifier in `ids`, so that a
        file stays valid when the classes of a data set are renamed.
        """
        texts_of = {_key(name): texts for name, texts in self.classes.items()}
        pairs = zip(classnames, ids or classnames, strict=True)
        return [
            texts_of.get(_key(name)) or texts_of.get(_key(class_id), []) for name, class_id in pairs
        ]

    def foreign(self, classnames: Sequence[str], ids: Sequence[str] | None = None) -> list[str]:
        """Classes of the file that are not among `classnames` and `ids`."""
        keys = {_key(name) for name in (*classnames, *(ids or ()))}
        return [name for name in self.classes if _key(name) not in keys]

    def save(self, path: Path, setting: str | None = None) -> None:
        """Write the file atomically."""
        note = {"format": FORMAT, "kind": self.kind} | vars(self)
        del note["sha256"]
        with writing(setting or self.setting, path), atomic_path(path) as partial:
            partial.write_text(json.dumps(note, indent=1, ensure_ascii=False), encoding="utf-8")


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


def load_answers(path: Path, form: type[Form], setting: str | None = None) -> Form:
    """Read and check a file of answers about classes, of the kind `form`.

    Written by hand, it needs ``format``, ``kind`` and ``classes`` only.

    Raises
    ------
    FewshotError
        No such file, no JSON, another kind of file, or a text that cannot be used.
    """
    setting = setting or form.setting
    try:
        expect(path.stat().st_size <= LARGEST, setting, f"{path} is too large for {form.kind}")
        raw = path.read_bytes()
        note = json.loads(raw, object_pairs_hook=_unique_object)
    except OSError as error:
        remedy = f"Make one with: {form.command} dataset=... llm.model=..."
        raise FewshotError(setting, f"cannot read {path} ({error.strerror})", remedy) from None
    except (ValueError, RecursionError) as error:
        raise FewshotError(setting, f"{path} is no JSON file ({error})") from None
    kind = note.get("kind") if isinstance(note, dict) else None
    expect(kind == form.kind, setting, f"{path}: expected a file of kind {form.kind!r}")
    version = note.get("format")
    expect(version == FORMAT, setting, f"{path}: expected format {FORMAT}, got {version!r}")
    expect("classes" in note, setting, f"{path}: expected 'classes', texts by class name")
    try:
        answers = form(
            **{key: note[key] for key in vars(form()) if key in note.keys() - {"sha256"}}
        )
    except ValidationError as error:
        raise FewshotError(setting, f"{path}: {_problem(error)}") from None
    answers.sha256 = hashlib.sha256(raw).hexdigest()
    return answers


def _problem(error: ValidationError) -> str:
    """The first problem of a file in words: where, what is expected, what came."""
    problem = error.errors(include_url=False)[0]
    (name, *inner), kind = problem["loc"], problem["type"]
    where = f"class {inner[0]!r}: " if inner and "[key]" not in inner else ""
    if kind == "value_error":
        return f"{where}{problem['ctx']['error']}"
    expected = f"expected {name!r} to be a {kind.removesuffix('_type')}"
    if name == "classes" and inner:
        expected = f"expected a list of 1 to {MOST} texts"
    elif len(inner) > 1:
        expected = f"expected {name!r} to be a list of texts"
    return f"{where}{expected}, got {reprlib.repr(problem['input'])}"


def _key(name: str) -> str:
    return readable(name).casefold()


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; duplicate names, of which JSON would keep the last, are errors."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} comes twice")
    return content
