"""``fewshot export``: a model file as ONNX, checked against torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fewshot.cli.arguments import Parser
from fewshot.exceptions import FewshotError

USAGE = "fewshot export MODEL --output FILE.onnx [OPTIONS]"


def main(argv: Sequence[str]) -> int:
    """Write the ONNX file and say how much it differs."""
    arguments = _parser().parse_args(argv)
    from fewshot.models.onnx.packages import expect_packages

    expect_packages()
    from fewshot.models.loading import load

    classifier = load(arguments.model, device="cpu", weights=arguments.weights)
    try:
        done = classifier.to_onnx(arguments.output, arguments.input, arguments.check)
    except FewshotError as error:
        names = {"path": "--output", "input": "--input", "check": "--check"}
        remedy = error.remedy.replace("input=features", "--input features")
        name = names.get(error.argument, error.argument)
        raise FewshotError(name, error.problem, remedy) from error
    compared, what = done.comparison, "features" if done.input == "features" else "images"
    print(f"ONNX: {done.path}, from {done.input}")
    print(
        f"On {compared.rows} {what}, onnxruntime differs from torch in float32 by at most "
        f"{compared.probabilities:.1e} in probabilities; the labels are the same."
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fewshot export", usage=USAGE)
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file of `fewshot fit`")
    add("--output", metavar="FILE", required=True, help="where the ONNX file is written")
    add("--input", metavar="KIND", help="what the graph takes: image (by default, of any size), "
        "pixels (resized and cropped) or features")  # fmt: skip
    add("--check", metavar="IMAGE", nargs="+", help="images, and folders of them, that torch and "
        "onnxruntime are compared on; patterns at random by default")  # fmt: skip
    add("--weights", metavar="DIR", help="where the weights of the network are looked for first")
    return parser
