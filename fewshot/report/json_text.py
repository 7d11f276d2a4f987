"""Data as JSON that may stand inside an HTML page, whatever the names in it are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from fewshot.report.wording import plain

DIGITS = 6  # of a number: more would be larger than any uncertainty, and half of the page
# None of these ends a script element, begins a comment or ends a line of script once escaped.
ESCAPES = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


def json_text(value: Any) -> str:
    """`value` as JSON without characters that HTML or an editor could read as something else."""
    text = json.dumps(lean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(ESCAPES)


def lean(value: Any) -> Any:
    """Numbers with six digits, null for those that do not exist, names of harmless characters."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(key): lean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [lean(one) for one in value]
    # A parameter that is no JSON, as of a head of one's own.
    return lean(value.item()) if hasattr(value, "item") else plain(value)
