"""``fewshot export``: a model file as ONNX, checked against torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fewshot.cli.arguments import Parser, reworded
from fewshot.exceptions import FewshotError

DESCRIPTION = """\
Write a model of `fewshot fit` as one ONNX file, from images to probabilities: resizing, cropping,
the network, the head. Its answers are compared with torch's in float32; where probabilities differ
by more than 1e-4, or a label does, nothing is written.

examples:
  fewshot export birds.fewshot --output birds.onnx
  fewshot export birds.fewshot --output birds.onnx --check my_images
  fewshot export birds.fewshot --output head.onnx --input features
"""
ARGUMENTS = {
    "path": "--output", "input": "--input", "check": "--check", "weights": "--weights",
}  # fmt: skip
OF_MODEL = {"path": "MODEL", "model": "MODEL", "backbone": "--backbone"}
WORDS = {"input=": "--input ", "backbone=": "--backbone ", "point path to": "point --output to"}


def main(argv: Sequence[str]) -> int:
    """Write the ONNX file and say how much it differs."""
    arguments = _parser().parse_args(argv)
    from fewshot.models.onnx.packages import expect_packages

    expect_packages()
    from fewshot.models.loading import load_classifier
    from fewshot.report.wording import plain

    try:
        classifier = load_classifier(
            arguments.model, device="cpu", weights=arguments.weights, backbone=arguments.backbone,
            remedy="Models for segmentation are not exported to ONNX.",
        )  # fmt: skip
    except FewshotError as error:
        raise reworded(error, OF_MODEL, WORDS) from None
    try:
        done = classifier.to_onnx(arguments.output, arguments.input, arguments.check)
    except FewshotError as error:
        raise reworded(error, ARGUMENTS, WORDS) from None
    compared, what = done.comparison, "features" if done.input == "features" else "images"
    print(f"ONNX: {plain(str(done.path))}, from {done.input} to probabilities")
    print(
        f"On {compared.rows} {what} onnxruntime differs from torch in float32 by at most "
        f"{compared.probabilities:.1e} in probabilities; all labels are the same."
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="fewshot export",
        usage="fewshot export MODEL --output FILE [OPTIONS]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file of `fewshot fit`")
    add("--output", metavar="FILE", required=True, help="where the ONNX file is written")
    add("--input", metavar="KIND",
        help="what the file takes: image (uint8, B x H x W x 3, of any size), pixels (uint8, "
        "B x 3 x S x S, resized and cropped), or features (float32, B x D); by default image, and "
        "features for a model of features")  # fmt: skip
    add("--check", metavar="PATH", nargs="+",
        help="images, and folders of them, or files of features, that onnxruntime and torch are "
        "compared on; patterns at random by default")  # fmt: skip
    add("--weights", metavar="DIR", help="where weights are looked for first")
    add("--backbone", metavar="NAME", help="a network of your own that the model was fitted on")
    return parser
