"""A head of one's own: checked, and compared with another on the same episodes.

    python examples/own_head.py                                     # scans of handwritten digits
    python examples/own_head.py my_images --shots 1 5

The head is in ``my_head.py`` beside this file. Copy that and change it.
"""

import argparse

from my_head import MyHead

import fewshot
from fewshot.testing import check_head

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("images", nargs="?", default="digits", help="a sub-folder of images per class")
parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
parser.add_argument("--ways", type=int, default=5)
parser.add_argument("--episodes", type=int, default=100)
arguments = parser.parse_args()

# 1. What a run relies on: a batch of episodes gives what a loop over them does, the order of shots
#    and classes does not matter, padding is not seen, no query teaches another ... An
#    AssertionError says which of the promises is broken.
check_head(MyHead())
print("check_head: passed")

# 2. Beside the nearest class mean. A head is an object here, `my_head:MyHead` on the command line.
bank = fewshot.extract(arguments.images, split="none")
results = fewshot.evaluate(
    bank,
    head=["ncm", MyHead()],
    ways=arguments.ways,
    shots=arguments.shots,
    episodes=arguments.episodes,
    estimators=["auto"],
)
shown = ["head", "shots", "accuracy", "lower", "upper", "auto_predicted_error"]
print(results.table[shown].round(3).to_string(index=False))

# 3. The same episodes: whether the change helps, or only these draws.
pairs = results.compare("ncm", "myhead")
shown = ["first", "second", "shots", "difference", "lower", "upper", "better", "equal", "worse"]
print(f"\n{pairs[shown].round(4).to_string(index=False)}")
