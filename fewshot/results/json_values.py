"""Values that JSON can say."""

from __future__ import annotations

import math
from typing import Any


def without_nan(value: Any) -> Any:
    """JSON has no NaN: a number that does not exist, as the interval of one episode, is null."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
