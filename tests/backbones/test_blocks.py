"""Features of intermediate blocks, against what hooks see."""

import pytest
import timm
import torch

from fewshot.backbones import load_backbone
from fewshot.backbones.timm import TimmBackbone
from fewshot.exceptions import FewshotError

CPU = torch.device("cpu")


def images(count=2, size=160):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def close(actual, expected):
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def outputs_of(modules, run):
    """What each module gives during `run`, in order of `modules`."""
    seen = {}
    hooks = [
        module.register_forward_hook(lambda _, __, output, i=i: seen.update({i: output}))
        for i, module in enumerate(modules)
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return [seen[i] for i in range(len(hooks))]


@pytest.mark.parametrize("name", ["test_vit", "test_vit2"])
def test_tokens_are_those_that_hooks_see_after_the_final_norm(save_timm, folders, name):
    model = save_timm(name).model
    x = images()
    tokens = [model.norm(output).detach() for output in outputs_of(model.blocks, lambda: model(x))]
    blocks = [3, -1, 0]  # an order of their own
    parts = {
        "cls": [[tokens[b][:, 0]] for b in blocks],
        "mean": [[tokens[b][:, 1:].mean(1)] for b in blocks],
        "cls+mean": [[tokens[b][:, 0], tokens[b][:, 1:].mean(1)] for b in blocks],
    }
    for feature, rows in parts.items():
        backbone = TimmBackbone(folders=folders, model=name, feature=feature, blocks=blocks)
        expected = torch.cat([part for block in rows for part in block], dim=1)
        assert close(backbone.load(CPU)(x), expected)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_vit3", "test_vit_relpos"])
@pytest.mark.parametrize("feature", ["pooled", "mean"])
def test_the_last_block_is_the_last_output(save_timm, folders, name, feature):
    """Whether it pools a token, an average or by attention, with a norm before or after."""
    save_timm(name)
    settings = {"folders": folders, "model": name, "feature": feature}
    x = images(size=TimmBackbone(**settings).transform.size)
    last, none = (TimmBackbone(**settings, blocks=b).load(CPU)(x) for b in ([-1], None))
    assert close(last, none)


@pytest.mark.parametrize(
    ("name", "stages"),
    [("test_resnet", ["act1", "layer1", "layer2", "layer3", "layer4"]),
     ("test_convnext", [f"stages.{i}" for i in range(4)])],
)  # fmt: skip
def test_stages_of_convolutional_networks_are_averaged_over_space(save_timm, folders, name, stages):
    model = save_timm(name).model
    x = images()
    modules = [model.get_submodule(stage) for stage in stages]
    maps = outputs_of(modules, lambda: model(x))
    for blocks in ([0], [-1, 1], list(range(len(stages)))):
        expected = torch.cat([maps[b].mean((2, 3)) for b in blocks], dim=1)
        for feature in ("pooled", "mean"):
            backbone = TimmBackbone(folders=folders, model=name, feature=feature, blocks=blocks)
            assert close(backbone.load(CPU)(x), expected)


def test_blocks_are_in_the_key_only_if_they_are_set(save_timm, folders):
    save_timm("test_vit")
    settings = {"kind": "timm", "model": "test_vit"}
    none, null, two, swapped = (
        load_backbone(settings | more, folders).architecture()
        for more in ({}, {"blocks": None}, {"blocks": [0, 1]}, {"blocks": (1, 0)})
    )
    assert none == null == {"timm": "test_vit"}
    assert two == {"timm": "test_vit", "blocks": [0, 1]}
    assert swapped == {"timm": "test_vit", "blocks": [1, 0]}


@pytest.mark.parametrize("blocks", [4, "4", [], [0.5], [True], ["a"], {"a": 1}])
def test_blocks_are_a_list_of_integers(folders, blocks):
    message = r"backbone\.blocks: expected null or a list of integers, got .*\[-4,-3,-2,-1\]"
    with pytest.raises(FewshotError, match=message):
        TimmBackbone(folders=folders, model="test_vit", blocks=blocks)


@pytest.mark.parametrize(
    ("name", "feature", "blocks", "message"),
    [
        ("test_vit", "cls", [6], r"has 6 blocks, 0 to 5 or -6 to -1; got 6"),
        ("test_vit", "cls", [-7], r"0 to 5 or -6 to -1; got -7"),
        ("test_vit", "cls", [5, -1], r"expected every block once, got \[5, -1\] of 6"),
        ("test_resnet", "pooled", [5], r"'test_resnet' has 5 blocks"),
        ("test_resnet", "cls", [0], r"maps without tokens: expected 'pooled' or 'mean'"),
        ("test_vit_relpos", "cls", [0], r"'test_vit_relpos' has no class token; got 'cls'"),
    ],
)
def test_blocks_that_are_not_there(save_timm, folders, name, feature, blocks, message):
    save_timm(name)
    backbone = TimmBackbone(folders=folders, model=name, feature=feature, blocks=blocks)
    with pytest.raises(FewshotError, match=message):
        backbone.load(CPU)


def test_models_without_intermediate_features_are_refused(save_timm, folders, monkeypatch):
    save_timm("test_resnet")
    monkeypatch.delattr(timm.models.resnet.ResNet, "forward_intermediates")
    backbone = TimmBackbone(folders=folders, model="test_resnet", blocks=[0])
    with pytest.raises(FewshotError, match=r"backbone\.blocks: .*no intermediate features"):
        backbone.load(CPU)
