"""The packages of the extra ``onnx``, imported when they are needed."""

from __future__ import annotations

from importlib import import_module

from fewshot.exceptions import FewshotError, expect

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TORCH = (2, 7)  # whose exporter takes axes of any length by `dynamic_shapes`


def expect_packages() -> None:
    """Raise unless all packages of the extra can be imported, and torch is new enough.

    Raises
    ------
    FewshotError
        One is missing, or torch is older than its present exporter.
    """
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise FewshotError(
                "onnx",
                f"ONNX files are made with the package {name}, which cannot be imported: {error}",
                "Run: pip install 'fewshot-eval[onnx]'.",
            ) from None
    import torch

    version = torch.__version__.partition("+")[0]
    expect(
        tuple(map(int, version.split(".")[:2])) >= TORCH,
        "onnx",
        f"ONNX files are made by torch from {TORCH[0]}.{TORCH[1]} on, got {version}",
        "Run: pip install --upgrade torch.",
    )
