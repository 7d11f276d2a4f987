"""The model card: what a model tells apart, how good it is, what it needs, what it is not for.

Its sections follow Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fewshot.models.header import LINEAR, BackboneNote, ErrorNote, Header
from fewshot.references import Reference, resolve
from fewshot.report.aligned import markdown
from fewshot.report.wording import plain
from fewshot.tasks.classification.labelling.probabilities import Probabilities
from fewshot.units import counted, rough_percent, short_percent

LISTED = 100  # classes in a card
MEASURES = {"error": "share of wrong labels among new images, all classes alike"}
CALIBRATED_ON = {
    "datasets": "The prediction is calibrated on data sets of other kinds of images.",
    "base": "The prediction is calibrated on other labelled classes of the same kind of images.",
}
NOT_FOR = (
    "Images of another kind than those that it was fitted on: the predicted error and the "
    "probabilities hold for new images like them.",
    "Images of none of the classes: every image gets one of the labels, also where it is said to "
    "look like none of the classes.",
    "Decisions about people, or with consequences that nobody checks.",
)
SHELL = ("fewshot classify model.fewshot images/",)
PYTHON = ("import fewshot", "", 'model = fewshot.load("model.fewshot")')


def model_card(header: Header, others: Mapping[str, str] | None = None) -> str:
    """The card of a model as Markdown; names of users are escaped.

    Parameters
    ----------
    header : Header
    others : mapping of str to str, optional
        Sections of another task, by their headings, in place of those of a classifier.
    """
    title = header.name or "a model"
    sections = {
        "": _summary(header),
        "Classes": _classes(header),
        "Error": _error(header.error),
        "Probabilities": _probabilities(header),
        "Images": "",
        "Network": _network(header.backbone),
        "Not for": "\n".join(f"- {line}" for line in NOT_FOR),
        "Use": _use(header),
        "Versions": _versions(header),
    } | dict(others or {})
    blocks = [f"# {_escaped(title)}"]
    for heading, text in sections.items():
        if text:
            blocks += [f"## {heading}"] * bool(heading) + [text]
    return "\n\n".join(blocks) + "\n"


def in_short(header: Header) -> str:
    """What is in a model file, in a few sentences of plain text."""
    classes = f"{len(header.classes):,} classes"
    images = counted(sum(header.images.values()), "labelled image")
    if unlabelled := header.head.get("unlabelled"):
        images += f" and {counted(unlabelled, 'unlabelled image')}"
    on = "" if header.backbone is None else f" on {plain(header.backbone.name)}"
    return f"{plain(header.head['name'])}{on}, {classes}, {images}. {weights_text(header)}"


def weights_text(header: Header) -> str:
    """Where the network of a model is, in a sentence of plain text."""
    note = header.backbone
    if note is None:
        return "It labels features; images take the network that these are of."
    if not note.weights.file:
        return "The network is code of your own, which the file names."
    weights = plain(note.weights.file)
    if note.weights.packed:
        return f"The weights of the network ({weights}) are packed."
    source = f" of {plain(note.weights.source)}" if note.weights.source else ""
    return f"The weights of the network are referred to, not packed: {weights}{source}."


def _escaped(text: object) -> str:
    return markdown(plain(text))


def _code(text: object) -> str:
    """A name between backticks, whatever is in it."""
    plain_text = plain(text).replace("`", "'")
    return f"`{plain_text}`"


def _summary(header: Header) -> str:
    network = header.backbone
    what = "feature vectors" if network is None else "images"
    on = "" if network is None else f" on features of {_code(network.name)}"
    total = sum(header.images.values())
    unlabelled = header.head.get("unlabelled")
    beside = f" and {counted(unlabelled, 'unlabelled image')}" if unlabelled else ""
    return (
        f"Tells {len(header.classes):,} classes of {what} apart ({header.task}), by the head "
        f"{_code(header.head['name'])}{on}, fitted on {counted(total, 'labelled image')}{beside}."
    )


def _classes(header: Header) -> str:
    lines = ["| class | images |", "| --- | ---: |"]
    for name in header.classes[:LISTED]:
        lines.append(f"| {_escaped(name)} | {header.images[name]:,} |")
    if more := len(header.classes) - LISTED:
        lines += ["", f"And {more:,} more."] if more > 0 else []
    return "\n".join(lines)


def _error(error: ErrorNote | None) -> str:
    if error is None:
        return "It was not predicted."
    interval = f"{rough_percent(error.lower)} to {rough_percent(error.upper)}"
    lines = [
        f"Predicted {MEASURES.get(error.measure, _escaped(error.measure))}: "
        f"**{rough_percent(error.error)}** ({short_percent(error.level)} interval: {interval}).",
        CALIBRATED_ON.get(error.calibrated_on, ""),
    ]
    reservations = [*([error.note] if error.note else []), *error.warnings]
    if reservations:
        lines.append("\n".join(["Reservations:", "", *(f"- {_escaped(r)}" for r in reservations)]))
    return "\n\n".join(line for line in lines if line)


def _probabilities(header: Header) -> str:
    values = header.values.get("probabilities")
    if not isinstance(values, dict):
        return ""
    part = Probabilities(**values)
    return (
        f"{part.sentence()} A score over the temperature {part.temperature:.4g}, softmax, and "
        f"{part.shrinkage:.2g} of it given to all classes alike (docs/probabilities.md). They suit "
        "new images of which all classes are as frequent."
    )


def _network(note: BackboneNote | None) -> str:
    if note is None:
        return "None: it labels feature vectors of the network that they were extracted with."
    size = note.transform.get("size")
    lines = [
        f"- Backbone: {_code(note.name)}, {_escaped(note.feature)} features, {note.dim:,} numbers"
        + (f", images of {_escaped(size)} pixels" if size else ""),
        f"- Precision of its features: {note.precision}",
        *_weights(note),
        *(
            f"- {title}: {_escaped(note.settings[key])}"
            for key, title in (("licence", "Licence of the weights"), ("citation", "Paper"))
            if note.settings.get(key)
        ),
        *(f"- Paper: {_escaped(entry.text())}" for entry in _papers(note)),
    ]
    if not note.settings.get("licence"):
        lines.append("- Licence of the weights: not known here; look where they come from")
    return "\n".join(lines)


def _papers(note: BackboneNote) -> list[Reference]:
    """Papers of a network, as far as it names them."""
    return resolve(note.settings.get("references") or (), f"backbone {note.name}")


def _weights(note: BackboneNote) -> Iterator[str]:
    weights = note.weights
    if not weights.file:
        yield f"- Weights: those of the network's own code, SHA-256 {_code(weights.sha256)}"
        return
    where = f" from {_escaped(weights.source)}" if weights.source else ", a local file"
    yield f"- Weights: {_code(weights.file)}{where}, SHA-256 {_code(weights.sha256)}"
    if weights.packed:
        yield "- They are in the model file"
    else:
        yield "- They are not in the model file"


def _use(header: Header) -> str:
    on = "images" if header.backbone is not None else "features"
    linear = header.head.get("form", LINEAR) == LINEAR
    features = "features of the labelled images"
    kept = f"numbers computed from {features}" if linear else f"the {features}"
    shell = [] if header.backbone is None else ["```sh", *SHELL, "```", ""]
    python = [*PYTHON, f"model.predict({on})", f"model.predict_proba({on})"]
    block = "\n".join([*shell, "```python", *python, "```"])
    return f"{block}\n\nThe file has {kept}, and no image."


def _versions(header: Header) -> str:
    versions = ", ".join(f"{_escaped(k)} {_escaped(v)}" for k, v in header.versions.items())
    return f"{versions}. Fitted {_escaped(header.created)}." if header.created else f"{versions}."
