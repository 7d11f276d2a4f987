"""What is needed to make the same numbers again."""

from __future__ import annotations

import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from typing import Any

from fewshot.resources import PACKAGE

PACKAGES = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "scikit-learn", "pillow")


def environment(device: str, threads: int) -> dict[str, Any]:
    """Versions, platform, device, threads, memory and, in a clone, the git commit."""
    import fewshot

    versions = {name: _version(name) for name in PACKAGES}
    return {
        "fewshot": fewshot.__version__,
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "device": device,
        "threads": threads,
        "peak_memory_mib": peak_memory(),
        "git_commit": _git_commit(),
    }


def peak_memory() -> int | None:
    """The most memory that this process has had so far, in MiB; None where no one counts it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // (2**20 if sys.platform == "darwin" else 2**10)


@cache  # the jobs of a sweep ask again and again
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache  # of the code that was loaded, whatever is checked out since
def _git_commit() -> str | None:
    """The commit of the clone that this package is run from; None for an installed wheel."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
