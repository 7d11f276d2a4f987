"""The graph of the transform gives the pixels that Pillow gives, every one of them."""

import numpy as np
import pytest
from PIL import Image

from fewshot.backbones.transform import Transform

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos")
FILL = (12, 200, 77)


def session_of(transform):
    from fewshot.models.onnx.graph import OPSET
    from fewshot.models.onnx.transform import transform_graph

    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(transform_graph(transform), opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def pixels_of(session, image):
    return session.run(None, {"image": np.asarray(image)[None]})[0][0]


def image_of(rng, height, width):
    """Noise with black and white in it, whose sums leave [0, 255] between the two passes."""
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    extreme = np.where(pixels > 127, 255, 0)
    return Image.fromarray(np.where(rng.random((height, width, 1)) < 0.5, pixels, extreme)
                           .astype(np.uint8))  # fmt: skip


def shapes(rng, size, edge, count):
    """Heights and widths: smaller and larger, lines, the sizes of the square itself."""
    fixed = [(1, 1), (1, 150), (150, 1), (size, size), (edge, edge), (edge, 2 * edge), (400, 3)]
    return fixed + [tuple(map(int, pair)) for pair in np.exp(rng.uniform(0, 5, (count, 2)))]


@pytest.mark.parametrize("resize", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", FILTERS)
def test_pixels_are_pillow_s(interpolation, resize):
    rng = np.random.default_rng(len(resize) + len(interpolation))
    for size, crop_pct in ((32, 1.0), (27, 0.875)):
        transform = Transform(size, crop_pct, interpolation, resize=resize, fill=FILL)
        session = session_of(transform)
        for height, width in shapes(rng, size, int(size / crop_pct), 12):
            image = image_of(rng, height, width)
            expected = transform.pixels(image).numpy()
            where = f"{interpolation}, {resize}, {size}, {height} x {width}"
            np.testing.assert_array_equal(pixels_of(session, image), expected, where)


def test_a_batch_is_its_images():
    rng = np.random.default_rng(0)
    session = session_of(Transform(16, 0.8, "bicubic"))
    images = np.stack([np.asarray(image_of(rng, 31, 45)) for _ in range(3)])
    together = session.run(None, {"image": images})[0]
    np.testing.assert_array_equal(together, np.stack([pixels_of(session, i) for i in images]))


@pytest.mark.parametrize("shape", [(3000, 2), (2, 3000)])
def test_strips_of_which_only_the_centre_is_resampled(shape, monkeypatch):
    """Pillow then takes places in float32: pixels are a level or two away, not thirty."""
    for module in ("fewshot.backbones.transform", "fewshot.models.onnx.resampling"):
        monkeypatch.setattr(f"{module}.LARGEST", 2**16)
    transform = Transform(32, 0.875, "bicubic")
    image = image_of(np.random.default_rng(0), *shape)
    ours = pixels_of(session_of(transform), image).astype(int)
    assert np.abs(ours - transform.pixels(image).numpy()).max() <= 2


@pytest.mark.parametrize("weighs", [False, True])
def test_the_order_of_the_two_passes_is_that_of_pillow(weighs, monkeypatch):
    """Older Pillow begins with rows, and Pillow 13 with columns where that is less work."""
    from fewshot.models.onnx import resampling

    monkeypatch.setattr(resampling, "pillow_weighs_orders", lambda: weighs)
    image = image_of(np.random.default_rng(0), 90, 20)
    steps = [(20, 40), (24, 40)] if weighs else [(24, 90), (24, 40)]
    expected = image
    for step in steps:
        expected = expected.resize(step, Image.Resampling.BICUBIC)

    class Fixed(Transform):  # 20 x 90 to 24 x 40
        def resized(self, width, height):
            return 24, 40

    transform = Fixed(64, 1.0, "bicubic", resize="longest", fill=FILL)
    monkeypatch.setattr("fewshot.models.onnx.transform._resized",
                        lambda t, height, width: (height * 0 + 40, width * 0 + 24))  # fmt: skip
    pixels = pixels_of(session_of(transform), image).transpose(1, 2, 0)
    np.testing.assert_array_equal(pixels[12:52, 20:44], np.asarray(expected))
    assert (pixels[0, 0] == FILL).all()
