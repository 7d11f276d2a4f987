"""Compact encoding of the page's data: 16-bit integers in base64, binned means and JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewshot.report.wording import plain

STEPS = 65534  # rounding moves a share by at most 1 / 131068
MISSING = 65535
NO_FILE = 0xFFFFFFFF


def shares(values: ArrayLike) -> str:
    """Numbers in [0, 1] as little-endian uint16 in base64: value * 65534, or 65535 for NaN."""
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    steps = np.rint(np.clip(np.where(finite, numbers, 0), 0, 1) * STEPS)
    return _text(np.where(finite, steps, MISSING).astype("<u2"))


def small_numbers(values: ArrayLike) -> str:
    """Integers from 0 to 65535 as little-endian uint16 in base64."""
    return _text(np.asarray(values).astype("<u2"))


def file_numbers(values: ArrayLike) -> str:
    """Integers as little-endian uint32 in base64; negative ones, for no file, as 0xFFFFFFFF."""
    numbers = np.asarray(values, dtype=np.int64)
    return _text(np.where(numbers < 0, NO_FILE, numbers).astype("<u4"))


def _text(values: NDArray) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


DIGITS = 6  # significant digits of numbers in the JSON, far below any uncertainty


# None of these ends a script element, begins a comment or ends a line of script once escaped.
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def json_text(value: Any) -> str:
    """`value` as JSON without characters that have a meaning in HTML or end a line."""
    text = json.dumps(lean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def lean(value: Any) -> Any:
    """`value` with six digits per number, None if not finite, and without control characters."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(key): lean(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [lean(entry) for entry in value]
    # A parameter that is not a JSON type, such as a user-defined head's.
    return lean(value.item()) if hasattr(value, "item") else plain(value)
