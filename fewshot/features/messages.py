"""Messages that extraction and opening share."""

from __future__ import annotations

from fewshot.exceptions import FewshotError


def unreadable(path: str, reason: str, count: int = 1) -> FewshotError:
    """The message for an image that cannot be read."""
    more = f" (and {count - 1} more)" if count > 1 else ""
    return FewshotError(
        "dataset",
        f"cannot read image {path!r}{more}: {reason}",
        "Replace or remove it, or set dataset.on_error=skip.",
    )
