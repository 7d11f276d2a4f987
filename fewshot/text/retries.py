"""When to ask a server again, and how long to wait before."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

# Longest wait of our own choice; a server may ask for more.
LONGEST = 60.0
PASSING = frozenset({408, 409, 425, 429})


def passes(status: int | None) -> bool:
    """Whether an HTTP status (None: no answer at all) may be another one later."""
    return status is None or status in PASSING or status >= 500


def wait_before(attempt: int, backoff: float, headers: Mapping[str, str] | None) -> float:
    """Seconds before the retry after attempt number `attempt`, counted from 0.

    What the server says (Retry-After, seconds or a date, RFC 9110 section 10.2.3), but not less
    than an exponential back-off of which a random part of up to a half is taken off, so that
    requests that failed together do not come back together.
    """
    own = min(backoff * 2.0**attempt, LONGEST)
    own *= 1 - 0.5 * secrets.SystemRandom().random()
    return max(own, retry_after(headers or {}))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the header Retry-After asks for; 0 without it or if it makes no sense.

    Examples
    --------
    >>> from fewshot.text.retries import retry_after
    >>> retry_after({"retry-after": "3"}), retry_after({"retry-after": "soon"})
    (3.0, 0.0)
    """
    said = headers.get("retry-after")
    if said is None:
        return 0.0
    try:
        seconds = float(said)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(said).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return 0.0 if math.isnan(seconds) else max(seconds, 0.0)
