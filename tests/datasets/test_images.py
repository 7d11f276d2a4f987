"""Any image file becomes 8-bit RGB, or an error that says why not."""

import io

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets.images import UnreadableImageError, read_image, to_rgb

WHITE = (255, 255, 255)


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, size=(12, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("file", "options", "tolerance"),
    [
        ("a.jpg", {"quality": 95, "subsampling": 0}, 40),
        ("a.JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 40),
        ("a.png", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.bmp", {}, 0),
        ("a.tif", {}, 0),
        ("a.tiff", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_every_format_gives_its_pixels(workplace, noise, file, options, tolerance):
    Image.fromarray(noise).save(file, **options)
    image = read_image(workplace / file)
    assert image.mode == "RGB"
    assert image.size == (10, 12)
    assert np.abs(np.asarray(image).astype(int) - noise).max() <= tolerance


def saved(image, file="m.png", **options):
    image.save(file, **options)
    return np.asarray(read_image(file))


def test_bilevel_and_grey(workplace):
    grey = Image.fromarray(np.array([[0, 60], [200, 255]], dtype=np.uint8))
    assert saved(grey).tolist() == [[[0] * 3, [60] * 3], [[200] * 3, [255] * 3]]
    assert saved(grey.convert("1", dither=0)).tolist() == [[[0] * 3] * 2, [[255] * 3] * 2]


def test_transparency_is_laid_on_white(workplace):
    rgba = Image.new("RGBA", (2, 1), (200, 0, 100, 0))
    rgba.putpixel((1, 0), (200, 0, 100, 255))
    assert saved(rgba).tolist() == [[[255] * 3, [200, 0, 100]]]
    la = Image.new("LA", (2, 1), (0, 0))
    la.putpixel((1, 0), (7, 255))
    assert saved(la).tolist() == [[[255] * 3, [7] * 3]]


def test_transparent_colours_of_palettes_and_keys(workplace):
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert saved(palette).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert saved(palette, transparency=0).tolist() == [[list(WHITE), [40, 50, 60]]]
    key = Image.new("RGB", (2, 1), (1, 2, 3))
    key.putpixel((1, 0), (9, 9, 9))
    assert saved(key, transparency=(1, 2, 3)).tolist() == [[list(WHITE), [9, 9, 9]]]


def test_cmyk(workplace):
    rgb = Image.new("RGB", (4, 4), (250, 120, 10))
    pixels = saved(rgb.convert("CMYK"), "m.tif")
    assert np.abs(pixels.astype(int) - (250, 120, 10)).max() <= 2
    pixels = saved(rgb.convert("CMYK"), "m.jpg", quality=100)
    assert np.abs(pixels.astype(int) - (250, 120, 10)).max() <= 6


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 257, 65535], np.uint16, [0, 1, 255]),
        ([0, 100, 200], np.uint16, [0, 0, 1]),  # dark, but 16 bits all the same
        ([0, 100, 255], np.int32, [0, 100, 255]),
        ([0, 257, 65535], np.int32, [0, 1, 255]),
        ([-5, 0, 1 << 20], np.int32, [0, 0, 255]),
        ([0, 0.5, 1], np.float32, [0, 128, 255]),
        ([0, 12.4, 255], np.float32, [0, 12, 255]),
        ([np.nan, np.inf, 0.5], np.float32, [0, 255, 0]),
    ],
)
def test_deep_and_floating_greys(workplace, values, dtype, expected):
    pixels = saved(Image.fromarray(np.array([values], dtype=dtype)), "m.tif")
    assert pixels[0, :, 0].tolist() == expected
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F",
                                  "YCbCr", "HSV", "PA", "RGBa", "I;16B"])  # fmt: skip
def test_every_mode_becomes_rgb(mode):
    image = to_rgb(Image.new(mode, (3, 2)))
    assert image.mode == "RGB"
    assert image.size == (3, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_camera_is_applied(workplace, noise, orientation):
    upright = {
        1: noise,
        2: noise[:, ::-1],
        3: noise[::-1, ::-1],
        4: noise[::-1],
        5: noise.transpose(1, 0, 2),
        6: np.rot90(noise, -1),
        7: noise[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(noise, 1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(saved(Image.fromarray(noise), exif=exif), upright)


@pytest.mark.parametrize("file", ["a.webp", "a.png", "a.tif"])
def test_the_first_frame_of_an_animation(workplace, noise, file):
    first = Image.fromarray(noise)
    options = {"lossless": True} if file == "a.webp" else {}
    others = [Image.new("RGB", first.size, c) for c in ("red", "blue")]
    assert np.array_equal(saved(first, file, save_all=True, append_images=others, **options), noise)


def jpeg(size=64):
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 256, size=(size, size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def gif():
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (jpeg()[:1000], "truncated"),
        (b"", "not a JPEG, PNG"),
        (b"I am no image, whatever my name is.", "not a JPEG, PNG"),
        (gif(), "not a JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a JPEG, PNG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\4\0\0\0\4\x08\x02\0\0\0", "."),
    ],
    ids=["truncated", "empty", "text", "gif", "postscript", "header only"],
)
def test_what_cannot_be_decoded(workplace, content, reason):
    (workplace / "x.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        read_image(workplace / "x.jpg")


def test_a_file_that_cannot_be_opened(workplace):
    (workplace / "x.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(UnreadableImageError, match=r"^No such file or directory$"):
        read_image(workplace / "x.jpg")


def test_an_image_larger_than_the_limit_is_refused(workplace, monkeypatch):
    Image.new("L", (40, 40)).save("x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # warns up to twice that, then raises
    with pytest.raises(UnreadableImageError, match="90 million"):
        read_image(workplace / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImageError, match="90 million"):
        read_image(workplace / "x.png")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_raise_nothing_else(workplace, noise):
    """Bytes are changed at random; decoders raise all kinds of things then."""
    rng = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for ext in ("jpg", "png", "webp", "bmp", "tif"):
        path = workplace / f"x.{ext}"
        Image.fromarray(noise).save(path)
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[rng.integers(0, min(len(whole), 100), size=3)] = rng.integers(0, 256, size=3)
            path.write_bytes(damaged.tobytes())
            try:
                assert read_image(path).mode == "RGB"
                outcomes["read"] += 1
            except UnreadableImageError as error:
                assert str(error)
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20
