"""Splitting of long texts into pieces within the context length of a text encoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from fewshot.backbones.base import CountTokens

SENTENCE_END = re.compile(r"(?<=[.!?;])\s+")


def chunks(text: str, count_tokens: CountTokens, limit: int) -> tuple[list[str], list[str]]:
    """Pieces of `text` of at most `limit` tokens each, in their order.

    As many whole sentences as fit make a piece; a sentence that is too long goes by its words.

    Parameters
    ----------
    text : str
    count_tokens : callable
        Texts to their numbers of tokens, those for start and end included.
    limit : int
        Context length of the encoder.

    Returns
    -------
    pieces : list of str
    cut : list of str
        Words that are longer than a piece, of which only the beginning is in one.

    Examples
    --------
    >>> from fewshot.text.chunks import chunks
    >>> words = lambda texts: [len(text.split()) for text in texts]
    >>> chunks("One two. Three. Four five six seven.", words, 3)[0]
    ['One two. Three.', 'Four five six', 'seven.']
    """

    def fits(piece: str) -> bool:
        return count_tokens([piece])[0] <= limit

    if fits(text):
        return [text], []
    cut: list[str] = []
    pieces: list[str] = []
    sentences = filter(None, SENTENCE_END.split(text.strip()))
    for packed in _packed(sentences, fits):
        if fits(packed):
            pieces.append(packed)
            continue
        for words in _packed(packed.split(), fits):
            whole = fits(words)
            pieces.append(words if whole else _beginning(words, fits))
            if not whole:
                cut.append(words)
    return [piece for piece in pieces if piece], cut


def _packed(parts: Iterable[str], fits: Callable[[str], bool]) -> Iterator[str]:
    """Join neighbouring parts as long as they fit; a part that does not fit stays alone."""
    piece = ""
    for part in parts:
        longer = f"{piece} {part}" if piece else part
        if piece and not fits(longer):
            yield piece
            longer = part
        piece = longer
    if piece:
        yield piece


def _beginning(word: str, fits: Callable[[str], bool]) -> str:
    """The longest beginning of a word that fits, by bisection."""
    low, high = 0, len(word)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(word[:middle]) else (low, middle)
    return word[:low]
