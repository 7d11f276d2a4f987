"""Tokens of images: their grid, their place, the networks of several strides."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d, interpolate

from fewshot.backbones.base import Backbone, DenseEncoder
from fewshot.backbones.transform import Transform
from fewshot.exceptions import FewshotError
from fewshot.hardware import torch_threads
from fewshot.tasks.segmentation.dense.bilinear import Placement
from fewshot.tasks.segmentation.dense.encoder import DenseFeatures, on_grid


class Pyramid(Backbone):
    """Means of the pixels in squares of 4, 8 and 16: 3 channels each, known in closed form."""

    name, feature, weights_digest = "pyramid", "pooled", "0"
    transform = Transform(mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear")

    def __init__(self, strides=(4, 8, 16), scale=1.0):
        self.strides, self.scale = strides, scale

    def weights_file(self):
        raise NotImplementedError

    def load(self, device):
        raise NotImplementedError

    def architecture(self):
        return {"pyramid": list(self.strides)}

    def load_dense(self, device, layers="multilayer"):
        def encode(images):
            return [avg_pool2d(images, stride) * self.scale for stride in self.strides]

        dims = (3,) * len(self.strides)
        return DenseEncoder(encode, max(self.strides), self.strides, dims, 8)


def picture(width, height, seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_maps_of_several_strides_meet_on_one_grid():
    maps = Pyramid().load_dense(None).encode(torch.rand(2, 3, 32, 48))
    joined = on_grid(maps, 8, (32, 48))
    assert joined.shape == (2, 9, 4, 6)
    assert torch.allclose(joined[:, :3], avg_pool2d(maps[0], 2))
    assert torch.equal(joined[:, 3:6], maps[1])
    up = interpolate(maps[2], scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(joined[:, 6:], up, atol=1e-6)


def test_tokens_are_rows_of_the_grid():
    image = picture(48, 32)
    tokens = DenseFeatures(Pyramid((8,)), "native", stride=8).tokens(image)
    expected = np.asarray(image, np.float32).reshape(4, 8, 6, 8, 3).mean((1, 3)) / 255
    assert tokens.grid == (4, 6)
    assert tokens.features.dtype == torch.float32
    assert np.allclose(tokens.features.numpy(), expected.reshape(24, 3), atol=1e-5)
    assert tokens.placement == Placement((32, 48), (32, 48), 8, (4, 6))


def test_what_is_padded_is_cut_off_and_repeats_the_border():
    image = Image.new("RGB", (19, 9), (255, 128, 0))
    features = DenseFeatures(Pyramid((4, 16)), "native", stride=4)
    tokens = features.tokens(image)
    assert tokens.grid == features.grid(19, 9) == (3, 5)
    assert features.input_pixels(19, 9) == 32 * 16
    expected = torch.tensor([1.0, 128 / 255, 0.0]).repeat(15, 2)
    assert torch.allclose(tokens.features, expected, atol=1e-6)


@pytest.mark.parametrize("size", ["native", "short:40", "tokens:30", "paper"])
@pytest.mark.parametrize("shape", [(50, 37), (1, 1), (3, 200)])
def test_the_grid_is_known_before_the_network_runs(size, shape):
    features = DenseFeatures(Pyramid(), size)
    tokens = features.tokens(picture(*shape))
    assert tokens.grid == features.grid(*shape)
    assert tokens.features.shape == (tokens.grid[0] * tokens.grid[1], features.dim)
    assert tokens.placement == features.placement(*shape)
    assert tokens.placement.native == (shape[1], shape[0])
    width, height = features.resized(*shape)
    assert tokens.placement.resized == (height, width)


def test_resizing_is_pillow_s_with_the_backbone_s_filter():
    image = picture(64, 64)
    half = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR), np.float32)
    tokens = DenseFeatures(Pyramid((1,)), "short:32", stride=1).tokens(image)
    assert np.allclose(tokens.features.numpy() * 255, half.reshape(-1, 3), atol=1e-3)


@pytest.mark.parametrize("stride", [3, 5, 12, 24])
def test_a_stride_has_to_fit_all_maps(stride):
    with pytest.raises(FewshotError, match=r"segmentation\.stride: .*every 4, 8, 16 pixels"):
        _ = DenseFeatures(Pyramid(), stride=stride).stride


@pytest.mark.parametrize("stride", [0, -16, 1.5, "16", True])
def test_a_stride_is_a_positive_integer(stride):
    with pytest.raises(FewshotError, match=r"segmentation\.stride: expected an integer >= 1"):
        DenseFeatures(Pyramid(), stride=stride)


def test_the_fingerprint_knows_what_changes_tokens():
    base = DenseFeatures(Pyramid(), "short:40")
    others = [
        DenseFeatures(Pyramid(), "short:41"),
        DenseFeatures(Pyramid(), "short:40", stride=4),
        DenseFeatures(Pyramid(), "short:40", layers="last"),
        DenseFeatures(Pyramid((8,)), "short:40"),
    ]
    same = DenseFeatures(Pyramid(), "short:40", stride=8)  # the default, written out
    assert base.fingerprint() == same.fingerprint()
    assert all(other.fingerprint() != base.fingerprint() for other in others)


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(FewshotError, match=r"'pyramid' gives features that are not finite"):
        DenseFeatures(Pyramid(scale=float("nan"))).tokens(picture(20, 20))


def test_memory_that_runs_out_names_the_size():
    class Greedy(Pyramid):
        def load_dense(self, device, layers="multilayer"):
            def encode(images):
                return [torch.empty(1, 1 << 50, 1, 1)]

            return DenseEncoder(encode, 16, (16,), (3,), 16)

    with pytest.raises(FewshotError, match=r"^memory: .*Set segmentation\.size to short:N"):
        DenseFeatures(Greedy()).tokens(picture(20, 20))


def test_backbones_without_dense_features_say_so():
    class Plain(Pyramid):
        load_dense = Backbone.load_dense

    with pytest.raises(FewshotError, match=r"backbone: 'pyramid' gives no dense features\. Take"):
        DenseFeatures(Plain()).tokens(picture(20, 20))


def test_threads_give_the_same_tokens(tiny_backbone):
    backbone = tiny_backbone()
    images = [picture(60 + 7 * i, 50, i) for i in range(8)]
    alone = [DenseFeatures(backbone, "short:64").tokens(image).features for image in images]
    shared = DenseFeatures(backbone, "short:64")
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(shared.tokens, images))
    for first, second in zip(alone, together, strict=True):
        assert torch.equal(first, second.features)


def test_an_image_is_one_core_s_whatever_the_number_of_cores():
    """Sums that cores share have other last bits."""

    class Watched(Pyramid):
        def load_dense(self, device, layers="multilayer"):
            encoder = super().load_dense(device, layers)

            def encode(images):
                cores.append(torch.get_num_threads())
                return encoder.encode(images)

            return replace(encoder, encode=encode)

    cores = []
    features = DenseFeatures(Watched())
    with torch_threads(3):
        features.tokens(picture(20, 20))
        assert torch.get_num_threads() == 3
    assert cores == [1]


def test_multiply_adds_grow_with_the_input(tiny_backbone):
    features = DenseFeatures(tiny_backbone("test_resnet"), "native")
    small, large = features.flops(64, 64), features.flops(128, 128)
    assert small > 0
    assert large == pytest.approx(4 * small, rel=0.01)
    assert features.flops(60, 50) == small  # padded to the same input


def test_multiply_adds_of_attention_are_counted(tiny_backbone):
    """They grow with the square of the tokens, all others with the tokens."""
    features = DenseFeatures(tiny_backbone("test_vit"), "native")
    small, large = features.flops(160, 160), features.flops(320, 320)
    blocks, width, tokens = 6, 64, (1 + 100, 1 + 400)
    attention = [2 * blocks * width * count**2 for count in tokens]
    linear = [total - part for total, part in zip((small, large), attention, strict=True)]
    assert linear[1] / linear[0] == pytest.approx(tokens[1] / tokens[0], rel=0.02)


@pytest.mark.parametrize(("size", "stride"), [("short:8", 16), ("short:48", 1024)])
def test_a_token_is_no_larger_than_the_short_side(size, stride):
    with pytest.raises(FewshotError, match=r"segmentation\.stride.*larger than the image"):
        DenseFeatures(Pyramid((8,)), size, stride=stride).tokens(picture(48, 32))
    DenseFeatures(Pyramid((8,)), "native", stride=16).tokens(picture(9, 8))
