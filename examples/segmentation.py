"""Segment images from a few annotated ones, and how well that works before anyone annotates more.

    python examples/segmentation.py                                 # generated scenes
    python examples/segmentation.py my_scenes --new new_images      # your own

``my_scenes`` has ``images/NAME.jpg`` and ``masks/NAME.png`` with a class number per pixel (255:
none), ``classes.txt`` with their names, and ``train.txt`` and ``test.txt`` if images are set aside.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image, ImageOps

import fewshot


def write_scenes(folder: Path, train: int, test: int) -> tuple[Path, Path]:
    """Write generated scenes with masks, and a folder of further scenes without."""
    scenes = {"kind": "scenes", "size": [96, 128]}
    drawn = {
        "annotated": {"train": train, "test": test},
        "further": {"train": 1, "test": 5, "seed": 1},
    }
    for name, settings in drawn.items():
        dataset = fewshot.segmentation.load_masks(scenes | settings)
        fewshot.segmentation.write_folder(dataset, folder / name)
    return folder / "annotated", folder / "further" / "images"


parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("scenes", nargs="?", type=Path, help="a folder with images/ and masks/")
parser.add_argument("--new", type=Path, help="images to segment; annotated ones by default")
parser.add_argument("--output", type=Path, default=Path("segmentation"), help="folder for files")
parser.add_argument("--backbone", default="efficientnet_lite0", help="fewshot list backbones")
parser.add_argument("--size", default="short:192", help="short side of the network's input")
parser.add_argument("--shots", type=int, nargs="+", default=[1, 3], help="images per class")
parser.add_argument("--draws", type=int, default=3, help="draws of annotated images (3)")
arguments = parser.parse_args()
scenes, new = arguments.scenes, arguments.new
if scenes is None:
    folder = tempfile.TemporaryDirectory()  # deleted in the end
    scenes, new = write_scenes(Path(folder.name), train=20, test=8)
new = scenes / "images" if new is None else new
output, options = arguments.output, {"size": arguments.size}
output.mkdir(parents=True, exist_ok=True)

# 1. How well two heads do from a few annotated images, and how well that was predicted from these
#    images alone: draws of annotated images, all images of test.txt (or all others) segmented.
results = fewshot.evaluate(
    scenes,
    task="segmentation",
    head=["pixel_lda", "prototype"],
    shots=arguments.shots,
    episodes=arguments.draws,
    backbone=arguments.backbone,
    options=options,
)
print(results)
draws = results.rows("segmentation")
draws = draws[["head", "shots", "episode", "miou", "predicted_miou"]]
draws.to_csv(output / "draws.csv", index=False)
results.plot("shots").savefig(output / "miou_by_shots.png", dpi=150)
results.report(output / "report.html")

# 2. The model: a head on all annotated images, and the mIoU to expect on images like these.
model = fewshot.fit(scenes, task="segmentation", backbone=arguments.backbone, options=options)
model.save(output / "scenes.fewshot")
predicted = model.predicted
print(
    f"\n{model}\nPredicted mIoU on new images {predicted.miou:.1%} "
    f"({predicted.lower:.1%} to {predicted.upper:.1%})"
)

# 3. Masks of new images, with overlays beside them, and the share of every class in each image.
segments = fewshot.segment(new, like=output / "scenes.fewshot", out=output / "masks", overlay=True)
table = segments.table.round(2).head()
print(table.assign(file=table["file"].map(lambda file: Path(file).name)).to_string(index=False))

# 4. Some of them as a picture: images above, what the model makes of them below.
shown = range(min(4, len(segments.images)))
picture = Image.new("RGB", (210 * len(shown), 420), "white")
for row in shown:
    image = segments.images.read(row)
    overlay = fewshot.segmentation.overlay(image, segments.mask(row))
    for place, part in enumerate([image, overlay]):
        picture.paste(ImageOps.contain(part, (200, 200)), (210 * row, 210 * place))
picture.save(output / "overlays.png")
print(f"\nFiles: {output}")
