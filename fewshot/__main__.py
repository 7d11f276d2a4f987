"""``python -m fewshot``."""

import sys

from fewshot.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
