"""What is to be cited for a fitted classifier: its network, its head, what it says of images."""

from __future__ import annotations

from fewshot import __version__
from fewshot.models.card import in_short
from fewshot.models.header import Header
from fewshot.references.methods import FITTED_MODELS
from fewshot.report.citing.citation import Citation
from fewshot.report.citing.made import made_of
from fewshot.report.citing.paragraph import CLOSE, OPEN
from fewshot.report.citing.parts import BACKBONE, FEWSHOT, SOFTWARE, Part, software
from fewshot.tasks import task_named

HEAD, METHOD = "head", "method"


def citation_of(header: Header) -> Citation:
    """Papers of a model, and what it is in a few sentences.

    Raises
    ------
    FewshotError
        Its network or its head names a paper that there is not.
    """
    note, head = header.backbone, header.head
    parts = [Part(SOFTWARE, FEWSHOT, (software(header.versions.get("fewshot", __version__)),))]
    if note is not None:
        parts.append(Part.of(BACKBONE, note.name, note.settings.get("references")))
    target = {"_target_": head["target"]} if ":" in head.get("target", "") else {}
    registry = task_named(header.task).registry(HEAD)
    made = made_of(registry, head["name"], head["parameters"], target)
    if made is None:
        made = made_of(registry, head["name"], head["parameters"], {})
    parts.append(Part.of(HEAD, head["name"], getattr(made, "references", None)))
    of_images = (word for word in FITTED_MODELS if header.values.get(word))
    parts += [Part.of(METHOD, word, FITTED_MODELS[word]) for word in ("card", *of_images)]
    keys = ",".join(entry.key for part in parts for entry in part.references or ())
    return Citation(parts, [f"{in_short(header)} Papers: {OPEN}{keys}{CLOSE}."])
