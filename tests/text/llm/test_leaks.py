"""A key in an answer: found in whatever spelling, and not where it is not."""

import base64
import json
import time

import pytest

from fewshot.text.llm.leaks import repeats

KEY = "sk-9f8e7d6C5b4A3z"
SENTENCE = "The crab has a round red shell, {} and eight short legs."
SPELLINGS = {
    "as it is": KEY,
    "capitals": KEY.upper(),
    "full width": "".join(chr(ord(c) + 0xFEE0) for c in KEY),
    "backwards": KEY[::-1],
    "spaces": " ".join(KEY),
    "lines": "\n".join(KEY),
    "zero width": "\u200b".join(KEY),
    "hyphens": "-".join(KEY),
    "list": str([KEY[:8], KEY[8:]]),
    "JSON": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "JSON in JSON": json.dumps(json.dumps("".join(f"\\u{ord(c):04x}" for c in KEY))),
    "Python": "".join(f"\\x{ord(c):02X}" for c in KEY),
    "URL": "".join(f"%{ord(c):02X}" for c in KEY),
    "URL in part": KEY.replace("9", "%39"),
    "URL twice": "".join(f"%25{ord(c):02x}" for c in KEY),
    "HTML": "".join(f"&#{ord(c)};" for c in KEY),
    "HTML, hexadecimal": "".join(f"&#x{ord(c):x};" for c in KEY),
    "hexadecimal": KEY.encode().hex(),
    "bytes": ", ".join(f"0x{ord(c):02x}" for c in KEY),
    "numbers": ", ".join(str(ord(c)) for c in KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of a header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "base64 of a user": base64.urlsafe_b64encode(f"me:{KEY}\n".encode()).decode(),
    "base64 of a pair": base64.b64encode(f":{KEY}".encode()).decode(),
    "beginning": KEY[:14] + "...",
    "end": "***" + KEY[4:],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_found(spelling):
    assert repeats(KEY, SENTENCE.format(SPELLINGS[spelling]))


def test_a_key_is_not_found_where_it_is_not():
    other = "sk-0a1b2c3D4e5F6g"
    for text in (
        SENTENCE,
        SENTENCE.format(KEY[:8]),
        SENTENCE.format(base64.b64encode(other.encode()).decode()),
        "\\u0041%41&#65;" * 50,
        "\\u{ffffff} U+FFFFFF &#9999999; %zz \\x",
    ):
        assert not repeats(KEY, text)


@pytest.mark.parametrize("key", ["EMPTY", "ollama", "lm-studio"])
def test_a_word_that_servers_take_for_a_key_is_no_secret(key):
    assert not repeats(key, f"{key.swapcase()} {key[::-1]} {' '.join(key)}")
    assert repeats(key, f"a {key} b")


def test_long_texts_take_no_time():
    begun = time.monotonic()
    for piece in ("red round ", "\\u0073%73&#x73;", "%2525", "\\" * 9, "&" * 9):
        assert not repeats(KEY * 4, piece * (1_000_000 // len(piece)))
    assert time.monotonic() - begun < 20
