"""From a folder of labelled images to a classifier, and how often it will be wrong.

    python examples/own_images.py                                   # scans of handwritten digits
    python examples/own_images.py my_images --new unsorted          # your own

``my_images`` has a sub-folder of images per class. ``unsorted`` has images to classify; where they
lie in sub-folders named like the classes, the true error is shown beside the predicted one.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import fewshot

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def write_digits(folder: Path, shots: int, new: int) -> tuple[Path, Path]:
    """Write a folder of labelled images and one of new ones, each with a sub-folder per class."""
    digits = load_digits()
    counts = dict.fromkeys(range(10), 0)
    for number, (scan, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        counts[digit] += 1
        if counts[digit] <= shots + new:
            part = "labelled" if counts[digit] <= shots else "new"
            path = folder / part / NAMES[digit] / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((scan * 255 / 16).round().astype("uint8")).save(path)
    # A mistake, as they happen: an eight is in the folder of the ones, too.
    eight = next((folder / "labelled" / "eight").iterdir())
    Image.open(eight).save(folder / "labelled" / "one" / "wrong.png")
    return folder / "labelled", folder / "new"


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("images", nargs="?", type=Path, help="a sub-folder of images per class")
parser.add_argument("--new", type=Path, help="images to classify, without labels")
parser.add_argument("--output", type=Path, default=Path("own_images"), help="folder for files")
parser.add_argument("--backbone", default="efficientnet_lite0", help="fewshot list backbones")
parser.add_argument("--size", type=int, help="input of the network in pixels; its own by default")
parser.add_argument("--shots", type=int, default=5, help="labelled digits per class (5)")
arguments = parser.parse_args()
images, new, size = arguments.images, arguments.new, arguments.size
if images is None:
    folder = tempfile.TemporaryDirectory()  # deleted in the end
    images, new = write_digits(Path(folder.name), arguments.shots, new=30)
    size = size or 64  # scans of 8 x 8 pixels need no more
output = arguments.output
output.mkdir(parents=True, exist_ok=True)

# 1. What to expect of these images, without holding any of them out. Images without labels sharpen
#    the prediction; `target` asks how many images per class an error would take.
forecast = fewshot.predict(
    images, backbone=arguments.backbone, unlabelled=new, target=0.1, size=size
)
print(forecast.answer)
print("\nHeads, the one to take first:")
print(forecast.table[["head", "error", "lower", "upper"]].round(3).to_string(index=False))

# 2. Labelled images to look at: copies, likely wrong labels, unreadable ones.
print("\nLook at:" if len(forecast.suspects) else "\nNo image stands out.")
for suspect in forecast.suspects.itertuples():
    print(f"  {suspect.file} (of {suspect.label}): {suspect.reason}")

# 3. As a page with the images, and as pictures for a paper or a talk.
forecast.page(output / "forecast.html")
forecast.plot("curve").savefig(output / "learning_curve.png", dpi=150)
forecast.plot("confusion").savefig(output / "confusion.png", dpi=150)

# 4. The classifier, as one file without images; reading it needs no labelled image.
fewshot.fit(forecast).save(output / "model.fewshot")
model = fewshot.load(output / "model.fewshot")
print(f"\n{model}")

# 5. Labels of new images, the most doubtful of which somebody should look at.
if new is not None:
    labels = model.classify(new)
    labels.to_csv(output / "labels.csv")
    table = labels.table
    truth = table["file"].map(lambda file: Path(file).parent.name)
    if set(truth) <= set(model.classes_):
        wrong = (truth != table["label"]).mean()
        error = model.error_
        print(
            f"\nPredicted error {error.error:.1%} ({error.lower:.1%} to {error.upper:.1%}), "
            f"true error on {len(table)} new images {wrong:.1%}."
        )
print(f"\nFiles: {output}")
