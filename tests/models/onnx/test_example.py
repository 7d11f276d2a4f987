"""The example of docs/onnx.md does what it says, with an image that lies on its side as well."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.models.onnx.packages import PACKAGES

for name in PACKAGES:
    pytest.importorskip(name)
PAGE = Path(__file__).parents[3] / "docs" / "onnx.md"


def test_the_example_runs(of_images, of_image, folder, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    Path("birds.onnx").write_bytes(of_image.read_bytes())
    upright = Image.open(folder / "photos" / "red" / "0.png").resize((48, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    turned.save("photo.jpg", quality=100, subsampling=0, exif=exif)
    exec(compile(code, str(PAGE), "exec"), {})
    label, probability = capsys.readouterr().out.split()
    expected = of_images.predict_proba("photo.jpg")[0]
    assert label == of_images.classes_[expected.argmax()]
    np.testing.assert_allclose(float(probability), expected.max(), atol=1e-5)
