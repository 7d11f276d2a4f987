"""The tables of docs/published.md, made from the files in datasets/published.

    python benchmarks/published.py

``fewshot results published`` makes them; this puts them into the page.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "published.md"
MARK = "<!-- Below: python benchmarks/published.py -->\n"


def main() -> None:
    """Replace what stands below the mark."""
    made = subprocess.run(
        [sys.executable, "-m", "fewshot", "results", "published", "--format", "markdown"],
        capture_output=True,
        text=True,
        check=True,
    )
    text, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(f"{text}{MARK}\n{made.stdout}", encoding="utf-8")


if __name__ == "__main__":
    main()
