"""Times and sizes as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds as words, rounded up to what matters.

    Examples
    --------
    >>> duration(7.2), duration(95), duration(9000), duration(200_000)
    ('7 s', '1 min 35 s', '2 h 30 min', '2 d 7 h')
    """
    steps = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = max(1, round(seconds))
    words = []
    for unit, length in steps:
        count, left = divmod(left, length)
        if count:
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2])


def size(count: float) -> str:
    """Bytes in decimal units.

    Examples
    --------
    >>> size(512), size(9_200_000), size(1_536_000_000)
    ('512 B', '9.2 MB', '1.5 GB')
    """
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.3g} {unit}" if count >= 100 else f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"
