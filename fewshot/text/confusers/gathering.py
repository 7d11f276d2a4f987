"""From the names of a source to the confusers that are used: hygiene, then at most k."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.registry import Entry
from fewshot.text.confusers.hygiene import clean, shortened
from fewshot.text.confusers.kinship import kinship
from fewshot.text.confusers.lists import ConfuserLists
from fewshot.text.confusers.near import drop_near
from fewshot.text.confusers.origins import Candidates, Request
from fewshot.text.confusers.settings import wanted_of
from fewshot.text.confusers.wordnet import find_wordnet, open_wordnet

if TYPE_CHECKING:
    from torch import Tensor

# Names per class that are encoded to find near duplicates, in multiples of k.
SPARE = 2


def gather(
    settings: Mapping[str, Any],
    dataset: str,
    classnames: Sequence[str],
    source: Entry,
    cache: Path,
    llm: Mapping[str, Any],
    encode: Callable[[Sequence[str]], Tensor] | None = None,
    ids: Sequence[str] | None = None,
) -> ConfuserLists:
    """The confusers that :func:`fewshot.text.confusers.confusers_of` promises."""
    wanted = wanted_of(settings)
    folder = find_wordnet(wanted.wordnet) if source.name != "oracle" else None
    wordnet = open_wordnet(folder.resolve()) if folder else None
    request = Request(
        wanted, dataset, tuple(classnames), cache, llm.get("model"), wordnet, encode,
        None if ids is None else tuple(ids),
    )  # fmt: skip
    found = source.load()(request)
    if source.name == "oracle":
        return _oracle(request, found)
    most = wanted.k * (SPARE if encode else 1)
    lists = _cleaned(request, found, most)
    if encode is not None:
        lists = _distinct(lists, encode, wanted.cosine)
    lists = shortened(lists, wanted.k)
    record = {"source": source.name, "k": wanted.k} | lists.record
    record["wordnet"] = wordnet.version if wordnet else None
    return _with_record(lists, record)


def _oracle(request: Request, found: Candidates) -> ConfuserLists:
    """Real names of the data set's other classes: all of them, as they are."""
    names = tuple(map(tuple, found.names))
    lists = ConfuserLists(request.classnames, names, tuple(() for _ in names))
    return _with_record(lists, {"source": "oracle"} | found.record)


def _cleaned(request: Request, found: Candidates, most: int) -> ConfuserLists:
    related = partial(kinship, request.wordnet) if request.wordnet else None
    pairs = zip(request.classnames, found.names, strict=True)
    both = [clean(target, names, related, most) for target, names in pairs]
    kept = tuple(tuple(names) for names, _ in both)
    dropped = tuple(tuple(out) for _, out in both)
    return ConfuserLists(request.classnames, kept, dropped, found.record)


def _distinct(
    lists: ConfuserLists, encode: Callable[[Sequence[str]], Tensor], limit: float | None
) -> ConfuserLists:
    names = list(dict.fromkeys(name for own in lists.names for name in own))
    if limit is None or not names:
        return lists
    # Encoders of class names refuse two that differ by case only.
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.casefold(), name)
    known = dict(zip(first, encode(list(first.values())), strict=True))
    vectors = {name: known[name.casefold()] for name in names}
    return drop_near(lists, encode(lists.classnames), vectors, limit)


def _with_record(lists: ConfuserLists, record: dict[str, Any]) -> ConfuserLists:
    pairs = zip(lists.classnames, lists.names, strict=True)
    record["without_confusers"] = [name for name, own in pairs if not own]
    return ConfuserLists(lists.classnames, lists.names, lists.dropped, record)
