"""Detection of a class by its name: precision and recall of `fewshot oneclass`, word by word.

    python detect.py DIR dog=dalmatian chair cup            # DIR/<class>/<image>; word=class
    python detect.py DIR --draws 3 --words 10               # random classes, their names as words
    python detect.py DIR chair cup --share 0.3 --each 18    # prevalence, images of each word

Images of a word are drawn from its folder, negatives from the folders of the other words. Each word
is asked once of all of them, with every rule. The interval is a bootstrap over words.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
from common import write
from sklearn.metrics import roc_auc_score

import fewshot
from fewshot import FewshotError
from fewshot.datasets import Folder

DRAWS = 2000


def sampled(dataset: Folder, root: Path, folder: str, count: int, seed: int) -> list[str]:
    """`count` images of a class, the same for the same seed."""
    number = dataset.classnames.index(folder)
    paths = sorted(dataset.paths[row] for row in np.flatnonzero(dataset.labels == number))
    chosen = random.Random(f"{folder}/{seed}").sample(paths, min(count, len(paths)))
    return [str(root / path) for path in chosen]


def folder_of(
    images: dict[str, list[str]], folder: str, share: float | None, seed: int
) -> list[str]:
    """Images of a word and negatives, so many that the share of the word is right."""
    negatives = [path for name, paths in images.items() if name != folder for path in paths]
    if share is not None:
        wanted = round(len(images[folder]) * (1 - share) / share)
        negatives = random.Random(seed).sample(negatives, min(wanted, len(negatives)))
    return [*images[folder], *negatives]


def judged(
    backbone: str | None, words: dict[str, str], images: dict[str, list[str]],
    rule: str, share: float | None, told: bool, seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """A row per word."""
    chosen = {} if backbone is None else {"backbone": backbone}
    rows = []
    for word, folder in words.items():
        paths = folder_of(images, folder, share, seed)
        found = fewshot.detect(word, paths, rule=rule, share=share if told else None, **chosen)
        truth = found["file"].isin(images[folder]).to_numpy()
        yes = (found["decision"] == "yes").to_numpy()
        both = 0 < truth.sum() < len(truth)
        rows.append({
            "rule": rule, "word": word, "images": len(truth), "positives": int(truth.sum()),
            "yes": int(yes.sum()), "right": int((yes & truth).sum()),
            "auroc": float(roc_auc_score(truth, found["score"])) if both else float("nan"),
        })  # fmt: skip
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Precision, recall and F1 of all words together, with 95 % intervals for other words."""
    counts = np.array([[row["right"], row["yes"], row["positives"]] for row in rows], dtype=float)
    generator = np.random.default_rng(0)
    places = generator.integers(len(rows), size=(DRAWS, len(rows)))

    def rates(right: Any, yes: Any, positives: Any) -> tuple[Any, Any, Any]:
        return right / np.maximum(yes, 1), right / positives, 2 * right / (yes + positives)

    drawn = rates(*np.moveaxis(counts[places].sum(1), -1, 0))
    texts = {}
    for name, value, values in zip(
        ("precision", "recall", "F1"), rates(*counts.sum(0)), drawn, strict=True
    ):
        low, high = np.quantile(values, (0.025, 0.975))
        texts[name] = f"{value:.2f} [{low:.2f}, {high:.2f}]"
    by_word = [2 * right / (yes + positives) for right, yes, positives in counts]
    return {
        "rule": rows[0]["rule"],
        "words": len(rows),
        "AUROC": f"{np.nanmean([row['auroc'] for row in rows]):.3f}",
        **texts,
        "mean F1 of words": f"{np.mean(by_word):.2f}",
    }


def words_of(arguments: argparse.Namespace) -> list[dict[str, str]]:
    """Folders by word: those that are named, or random ones."""
    if arguments.words_named:
        pairs = [text.partition("=") for text in arguments.words_named]
        return [{word: folder or word for word, _, folder in pairs}]
    folders = sorted(path.name for path in arguments.root.iterdir() if path.is_dir())
    random.Random(arguments.seed).shuffle(folders)
    size = arguments.words
    return [
        {name.replace("_", " "): name for name in folders[n * size : (n + 1) * size]}
        for n in range(arguments.draws)
    ]


def main() -> None:
    """A table of words and a table of rules."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("root", type=Path, metavar="DIR")
    add("words_named", nargs="*", metavar="WORD[=CLASS]")
    add("--draws", type=int, default=3, help="of random classes")
    add("--words", type=int, default=10, help="of a draw")
    add("--each", type=int, default=6, help="images of a word")
    add("--share", type=float, help="of positives; by default what the words make it")
    add("--told", action="store_true", help="let the detector know the share")
    add("--rules", nargs="+", default=["anp_and_random", "two_groups"])
    add("--backbone", help="that of fewshot.detect by default")
    add("--seed", type=int, default=0)
    add("--json", metavar="FILE")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    summaries = []
    try:
        dataset = Folder(arguments.root)
        for words in words_of(arguments):
            images = {
                folder: sampled(dataset, arguments.root, folder, arguments.each, arguments.seed)
                for folder in words.values()
            }
            for rule in arguments.rules:
                made = judged(
                    arguments.backbone, words, images, rule, arguments.share, arguments.told,
                    arguments.seed,
                )  # fmt: skip
                rows += made
                summaries.append(summary(made))
    except FewshotError as error:
        parser.error(str(error))
    write(None, rows)
    print()
    write(arguments.json, summaries)


if __name__ == "__main__":
    main()
