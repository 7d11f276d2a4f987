"""Any image file becomes 8-bit RGB, or an error that says why not."""

import io
import os
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets import images as images_module
from fewshot.datasets.images import UnreadableImageError, pixel_limit, read_image, to_rgb
from fewshot.exceptions import FewshotError

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
        (b"", "not a JPEG, PNG.*the file is empty"),
        (b"I am no image, whatever my name is.", "not a JPEG, PNG"),
        (gif()[:20], "."),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 40, "not a JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a JPEG, PNG"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\4\0\0\0\4\x08\x02\0\0\0", "."),
    ],
    ids=["truncated", "empty", "text", "gif", "jpeg 2000", "postscript", "header only"],
)
def test_what_cannot_be_decoded(workplace, content, reason):
    (workplace / "x.jpg").write_bytes(content)
    for source in (workplace / "x.jpg", content, io.BytesIO(content)):
        with pytest.raises(UnreadableImageError, match=reason):
            read_image(source)


def test_a_file_that_cannot_be_opened(workplace):
    (workplace / "x.jpg").symlink_to("nowhere.jpg")
    with pytest.raises(UnreadableImageError, match=r"^No such file or directory$"):
        read_image(workplace / "x.jpg")


def test_an_image_larger_than_the_limit_is_refused(workplace, monkeypatch):
    Image.new("L", (40, 40)).save("x.png")
    with pytest.raises(
        UnreadableImageError, match=r"1,600 .*40 x 40.* 1,599 that dataset\.max_pixels"
    ):
        read_image(workplace / "x.png", 1599)
    assert read_image(workplace / "x.png", 1600).size == (40, 40)
    monkeypatch.setenv("FEWSHOT_MAX_PIXELS", "1e3")
    with pytest.raises(
        UnreadableImageError, match=r"more than the 1,000 that dataset\.max"
    ) as caught:
        read_image(workplace / "x.png")
    assert "FEWSHOT_MAX_PIXELS to 1600" in caught.value.remedy


@pytest.mark.parametrize("value", [0, -5, "many", True, float("nan"), float("inf"), []])
def test_a_limit_is_a_number_of_pixels(value, monkeypatch):
    with pytest.raises(FewshotError, match=r"dataset\.max_pixels: expected a number of pixels"):
        pixel_limit(value)
    assert (pixel_limit(5e8), pixel_limit("1e9")) == (500_000_000, 1_000_000_000)
    monkeypatch.setenv("FEWSHOT_MAX_PIXELS", str(value))
    if value not in (True, []):
        with pytest.raises(FewshotError, match="FEWSHOT_MAX_PIXELS: expected a number of pixels"):
            pixel_limit()


@pytest.mark.parametrize("beyond", [1000, 100])  # where Pillow warns, and where it raises
def test_pillows_own_limit_is_as_it_was_and_does_not_hold(workplace, noise, monkeypatch, beyond):
    Image.fromarray(noise).resize((40, 40)).save("x.png")
    whole = np.asarray(read_image(workplace / "x.png"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", beyond)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (workplace / "x.png", Path("x.png").read_bytes()):
            assert np.array_equal(np.asarray(read_image(source)), whole)
    assert beyond == Image.MAX_IMAGE_PIXELS


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_raise_nothing_else(workplace, noise):
    """Bytes are changed at random; decoders raise all kinds of things then."""
    rng = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for ext in ("jpg", "png", "webp", "bmp", "tif", "gif", "ppm"):
        path = workplace / f"x.{ext}"
        Image.fromarray(noise).save(path)
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(40):
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


# Files written here byte by byte, so that no decoder's own encoder vouches for it.


def png(pixels, *chunks):
    """A PNG file of pixels (H, W, channels), uint8 or uint16."""
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    head = struct.pack(">IIBBBBB", *pixels.shape[1::-1], pixels.itemsize * 8, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


def tiff(pixels, photometric, sample_format=1, order="<"):
    """An uncompressed TIFF file of pixels (H, W, channels)."""
    height, width, channels = pixels.shape
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    words = [(256, width), (257, height), (258, None), (259, 1), (262, photometric), (273, None),
             (277, channels), (278, height), (279, len(body)), (339, sample_format)]  # fmt: skip
    start = 8 + 2 + 12 * len(words) + 4
    bits = struct.pack(f"{order}{channels}H", *[pixels.itemsize * 8] * channels)
    made = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(words))
    for tag, value in words:
        if tag == 258 and channels > 2:
            made += struct.pack(f"{order}HHII", tag, 3, channels, start)
        else:
            number = {258: pixels.itemsize * 8, 273: start + len(bits)}.get(tag, value)
            made += struct.pack(f"{order}HHII", tag, 4, 1, number)
    return made + struct.pack(f"{order}I", 0) + bits + body


def flat_jpeg(samples, adobe=None):
    """A baseline JPEG file of 8 x 8 pixels, all with the same stored samples.

    A block with nothing but its mean is one number; with steps of 8 it is the sample minus 128.
    """
    n = len(samples)
    bits = ""
    for sample in samples:
        level = sample - 128
        size = abs(level).bit_length()
        code = level if level > 0 else level + (1 << size) - 1
        bits += f"{size:04b}" + (f"{code:0{size}b}" if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    mark = b"" if adobe is None else b"\xff\xee\0\x0eAdobe" + struct.pack(">HHHB", 100, 0, 0, adobe)
    frame = struct.pack(">HBHHB", 8 + 3 * n, 8, 8, 8, n)
    frame += b"".join(bytes([i, 0x11, 0]) for i in range(1, n + 1))
    sizes = b"\xff\xc4\0\x1c\0" + bytes([0, 0, 0, 9] + [0] * 12) + bytes(range(9))
    end_of_block = b"\xff\xc4\0\x14\x10" + bytes([1] + [0] * 15) + b"\0"
    header = struct.pack(">HB", 6 + 2 * n, n) + b"".join(bytes([i, 0]) for i in range(1, n + 1))
    return (
        b"\xff\xd8" + mark + b"\xff\xdb\0\x43\0" + b"\x08" * 64 + b"\xff\xc0" + frame
        + sizes + end_of_block + b"\xff\xda" + header + b"\0\x3f\0" + scan + b"\xff\xd9"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("samples", "adobe", "expected"),
    [
        ([90], None, (90, 90, 90)),
        ([76, 85, 255], None, (254, 0, 0)),  # YCbCr of BT.601
        ([200, 100, 50], 0, (200, 100, 50)),  # RGB, as a scanner may store it
        ([255, 128, 64, 255], 0, (255, 128, 64)),  # Adobe's CMYK is 255 minus the ink
        ([255, 128, 64, 128], 0, (128, 64, 32)),
        ([0, 0, 0, 0], 0, (0, 0, 0)),
        ([179, 171, 1, 255], 2, (255, 0, 0)),  # YCCK
    ],
)
def test_colour_spaces_of_jpeg(samples, adobe, expected):
    pixels = np.asarray(read_image(flat_jpeg(samples, adobe))).astype(int)
    assert pixels.shape == (8, 8, 3)
    assert np.abs(pixels - expected).max() <= 2


DEEP = np.array([[[0, 257, 65535], [25700, 1000, 40000]]], dtype=np.uint16)


@pytest.mark.parametrize("content", [png(DEEP), tiff(DEEP, 2), tiff(DEEP, 2, order=">")])
def test_colours_of_16_bits(content):
    assert np.abs(np.asarray(read_image(content)) - DEEP / 257).max() <= 1


@pytest.mark.parametrize(
    "content",
    [png(DEEP[..., :1]), tiff(DEEP[..., :1], 1), tiff(DEEP[..., :1], 1, order=">"),
     b"P5 2 1 65535\n" + DEEP[..., 0].astype(">u2").tobytes()],
)  # fmt: skip
def test_greys_of_16_bits(content):
    assert np.asarray(read_image(content)).tolist() == [[[0] * 3, [100] * 3]]


def test_a_dark_image_of_16_bits_stays_dark():
    dark = np.array([[[0], [100], [200]]], dtype=np.uint16)
    for content in (png(dark), tiff(dark, 1), b"P5 3 1 65535\n" + dark.astype(">u2").tobytes()):
        assert np.asarray(read_image(content))[0, :, 0].tolist() == [0, 0, 1]


def test_floating_tiff():
    grey = np.array([[[0.0], [0.5], [1.0]]], dtype=np.float32)
    assert np.asarray(read_image(tiff(grey, 1, 3)))[0, :, 0].tolist() == [0, 128, 255]
    with pytest.raises(UnreadableImageError, match="kind of TIFF"):
        read_image(tiff(np.repeat(grey, 3, axis=2), 2, 3))


def test_lab_tiff():
    """L of 100 and 0 without colour are white and black; (54, 81, 70) is red under D50."""
    lab = np.array([[[255, 0, 0], [0, 0, 0], [138, 81, 70]]], dtype=np.uint8)
    expected = [[255, 255, 255], [0, 0, 0], [255, 0, 0]]
    assert np.abs(np.asarray(read_image(tiff(lab, 8))).astype(int) - expected).max() <= 6


def test_grey_with_alpha_of_16_bits_and_alpha_in_part():
    la = np.array([[[65535, 65535], [0, 0], [0, 32896]]], dtype=np.uint16)
    assert np.asarray(read_image(png(la)))[0, :, 0].tolist() == [255, 255, 127]
    rgba = np.array([[[200, 0, 100, 51]]], dtype=np.uint8)  # a fifth of it on four fifths of white
    assert np.abs(np.asarray(read_image(png(rgba))).astype(int) - (244, 204, 224)).max() <= 1


def test_a_palette_with_alpha_in_part(workplace):
    palette = Image.new("P", (3, 1))
    palette.putpalette([10, 20, 30, 100, 0, 200, 40, 50, 60])
    palette.putdata([0, 1, 2])
    pixels = saved(palette, transparency=bytes([0, 51, 255])).astype(int)
    assert np.abs(pixels - [[WHITE, (224, 204, 244), (40, 50, 60)]]).max() <= 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P1\n# ink\n2 1\n1 0\n", [[0] * 3, [255] * 3]),
        (b"P2 2 1 255 7 200\n", [[7] * 3, [200] * 3]),
        (b"P2 2 1 15 0 15\n", [[0] * 3, [255] * 3]),
        (b"P3 2 1 255 1 2 3 4 5 6\n", [[1, 2, 3], [4, 5, 6]]),
        (b"P4 2 1\n\x80", [[0] * 3, [255] * 3]),
        (b"P5 2 1 255\n\x07\xc8", [[7] * 3, [200] * 3]),
        (b"P6 2 1 255\n\1\2\3\4\5\6", [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_portable_any_maps(content, expected):
    assert np.asarray(read_image(content)).tolist() == [expected]


def test_gif_and_its_first_frame(workplace):
    first = Image.new("P", (2, 1))
    first.putpalette([10, 20, 30, 40, 50, 60])
    first.putpixel((1, 0), 1)
    assert saved(first, "a.gif").tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert saved(first, "a.gif", transparency=1).tolist() == [[[10, 20, 30], list(WHITE)]]
    others = [Image.new("RGB", (2, 1), colour) for colour in ("red", "blue")]
    moving = saved(first, "a.gif", save_all=True, append_images=others)
    assert moving.tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("file", ["a.tif", "a.webp", "a.jpg"])
def test_the_orientation_in_other_formats(workplace, file):
    halves = np.repeat(np.array([[[250] * 3], [[5] * 3]], dtype=np.uint8), 8, axis=0)
    halves = np.repeat(halves, 8, axis=1)  # bright above dark
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    pixels = saved(Image.fromarray(halves), file, exif=exif)
    assert pixels.shape == (8, 16, 3)
    assert pixels[:, 8:].min() > 240 and pixels[:, :8].max() < 15  # bright on the right


def test_bytes_and_open_files_are_read_like_files(workplace, noise):
    Image.fromarray(noise).save("a.png")
    content = Path("a.png").read_bytes()
    assert np.array_equal(np.asarray(read_image(content)), noise)
    with open("a.png", "rb") as file:  # noqa: PTH123
        assert np.array_equal(np.asarray(read_image(file)), noise)


@pytest.mark.parametrize("file", ["a.jpg", "画像 žluť.PNG", "n" * 250 + ".bmp", b"caf\xe9.jpg"])
def test_the_name_of_a_file_does_not_matter(workplace, noise, file):
    path = Path(os.fsdecode(file))
    Image.fromarray(noise).save("a.png")
    path.write_bytes(Path("a.png").read_bytes())
    assert np.array_equal(np.asarray(read_image(path)), noise)


@pytest.mark.parametrize("size", [(30_000, 30_000), (65_535, 5_000)])
def test_of_a_huge_image_only_the_header_is_read(size):
    """900 million pixels in 60 bytes would fill 2.7 GB."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")))
    )
    screen = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0)
    screen += b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x08\0;"
    start = time.perf_counter()
    for source in (content, screen):
        with pytest.raises(
            UnreadableImageError, match=r"300,000,000 that dataset\.max_pixels allows"
        ):
            read_image(source)
    assert time.perf_counter() - start < 0.5


@pytest.fixture
def small_is_large(monkeypatch):
    """Images of more than 4,096 pixels are treated as those beyond Pillow's limit are."""
    monkeypatch.setattr(images_module, "LARGE", 64 * 64)


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (64, 64)), ((128, 96), (64, 48)), ((241, 200), (61, 50))]
)
def test_large_jpegs_are_decoded_smaller_and_others_whole(
    workplace, small_is_large, size, expected
):
    across = np.linspace(0, 255, size[0], dtype=np.uint8)
    pixels = np.repeat(np.tile(across, (size[1], 1))[:, :, None], 3, axis=2)
    Image.fromarray(pixels).save("x.jpg", quality=95)
    small = read_image(workplace / "x.jpg")
    assert small.size == expected
    same = Image.fromarray(pixels).resize(expected, Image.Resampling.BOX)
    assert np.abs(np.asarray(small).astype(int) - np.asarray(same)).max() <= 6
    Image.fromarray(pixels).save("x.png")
    assert np.array_equal(np.asarray(read_image(workplace / "x.png")), pixels)


def test_large_images_are_decoded_one_at_a_time(workplace, small_is_large, monkeypatch):
    """Sixteen threads with an image of 0.8 GB each are not what a user has memory for."""
    Image.new("RGB", (80, 80)).save("large.png")
    Image.new("RGB", (40, 40)).save("small.png")
    inside = {"large.png": [], "small.png": []}
    running, guard, original = {"large.png": 0, "small.png": 0}, threading.Lock(), Image.Image.load

    def decoded(image, *_):
        name = "large.png" if image.size == (80, 80) else "small.png"
        with guard:
            running[name] += 1
            inside[name].append(running[name])
        time.sleep(0.02)
        with guard:
            running[name] -= 1
        return original(image)

    monkeypatch.setattr(images_module, "_decoded", decoded)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_image, [Path("large.png"), Path("small.png")] * 4))
    assert max(inside["large.png"]) == 1
    assert max(inside["small.png"]) > 1


def test_grey_values_do_not_depend_on_the_blocks_they_are_scaled_in(monkeypatch):
    deep = np.random.default_rng(0).integers(0, 65536, size=(37, 11)).astype(np.uint16)
    floats = np.random.default_rng(1).random((37, 11)).astype(np.float32)
    greys = [Image.fromarray(deep), Image.fromarray(floats), Image.fromarray(deep.astype("i4"))]
    whole = [np.asarray(to_rgb(grey)) for grey in greys]
    monkeypatch.setattr(images_module, "BLOCK", 25)
    for grey, expected in zip(greys, whole, strict=True):
        assert np.array_equal(np.asarray(to_rgb(grey)), expected)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html>\n<html><head><title>404</title>", "image: it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (b"PK\x03\x04" + b"\0" * 40, "a zip archive"),
        (b'{"error": "not found"}', "a JSON file"),
        (b"\0" * 3000, "full of zeros"),
        (b"%PDF-1.7\n" + b"\0" * 40, "a PDF document"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a[n]? MP4/MOV video"),
    ],
    ids=["page", "pointer", "archive", "json", "zeros", "pdf", "video"],
)
def test_what_is_no_image_is_called_what_it_is(workplace, content, reason):
    (workplace / "x.jpg").write_bytes(content)
    for source in (workplace / "x.jpg", content, io.BytesIO(content)):
        with pytest.raises(UnreadableImageError, match=f"not a JPEG, PNG.*{reason}"):
            read_image(source)
