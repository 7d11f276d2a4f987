"""The packages of the extra ``onnx``, imported when they are needed."""

from __future__ import annotations

from importlib import import_module

from fewshot.exceptions import FewshotError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def expect_packages() -> None:
    """Raise unless all packages of the extra can be imported.

    Raises
    ------
    FewshotError
        One is missing.
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
