"""Sets of prompts by name."""

import pytest

from fewshot.exceptions import FewshotError
from fewshot.text.prompts import DEFAULT_TEMPLATES, check_templates, templates_of
from fewshot.text.template_sets import SETS, template_set

# Published versions: whoever changes a prompt adds a version.
PUBLISHED = {
    "name@1": "06d303a9b27b",
    "photo@1": "3849a0dee9e5",
    "ensemble@1": "c59f57ea77cf",
    "openai_imagenet@1": "e30aa9d7fb28",
    "openai_imagenet_small@1": "2104fe259341",
    "openai_birdsnap@1": "c190f59b9c9e",
    "openai_caltech101@1": "245d8882ac2c",
    "openai_cifar10@1": "20da23be985f",
    "openai_cifar100@1": "20da23be985f",
    "openai_clevr_counts@1": "c3abedce1da7",
    "openai_country211@1": "d729aea1895e",
    "openai_dtd@1": "3bf9e3ef4439",
    "openai_eurosat@1": "e1a099067a9e",
    "openai_fer2013@1": "3b990e834edd",
    "openai_fgvc_aircraft@1": "7392559843c9",
    "openai_flowers102@1": "aeefe344d9db",
    "openai_food101@1": "fb94a25e334c",
    "openai_gtsrb@1": "e52be005463a",
    "openai_hateful_memes@1": "8d95e67de45a",
    "openai_kinetics700@1": "e1aca36b7b1c",
    "openai_kitti@1": "06d303a9b27b",
    "openai_mnist@1": "9caf1cc414dc",
    "openai_oxford_pets@1": "1d46030a0d57",
    "openai_pascal_voc2007@1": "3849a0dee9e5",
    "openai_patch_camelyon@1": "b93e16833242",
    "openai_resisc45@1": "58d268b306cc",
    "openai_sst2@1": "b19b0745974a",
    "openai_stanford_cars@1": "8fa6b3391ed7",
    "openai_stl10@1": "2426112b3ce2",
    "openai_sun397@1": "2426112b3ce2",
    "openai_ucf101@1": "2b13454ad31e",
    "coop_imagenet@1": "3849a0dee9e5",
    "coop_caltech101@1": "3849a0dee9e5",
    "coop_oxford_pets@1": "1d46030a0d57",
    "coop_stanford_cars@1": "3849a0dee9e5",
    "coop_flowers102@1": "aeefe344d9db",
    "coop_food101@1": "fb94a25e334c",
    "coop_fgvc_aircraft@1": "f3f83e763403",
    "coop_sun397@1": "3849a0dee9e5",
    "coop_dtd@1": "6f70b0dc9221",
    "coop_eurosat@1": "299a823c1420",
    "coop_ucf101@1": "2a0d2503ca39",
}


def test_published_sets_stay_as_they_are():
    names = {f"{name}@{n}" for name, versions in SETS.items() for n in versions}
    assert names == PUBLISHED.keys()
    for name, digest in PUBLISHED.items():
        chosen = template_set(name, "x")
        check_templates(chosen.templates)
        assert chosen.record()["sha256"][:12] == digest, name


def test_names():
    assert template_set("photo", "flowers102").templates == DEFAULT_TEMPLATES
    assert template_set("ensemble", "x") == template_set("ensemble@1", "x")
    assert len(set(template_set("ensemble", "x").templates)) == 8
    for setting in (None, "card"):
        from_card = template_set(setting, "flowers102")
        assert (from_card.name, from_card.templates) == ("card", templates_of("flowers102"))
        assert template_set(setting, "nothing").name == "photo@1"


def test_own_templates():
    chosen = template_set(["a {}", "{}"], "x")
    assert (chosen.name, chosen.templates) == ("own", ("a {}", "{}"))
    assert template_set("one {}", "x").templates == ("one {}",)
    assert chosen.digest != template_set(["{}", "a {}"], "x").digest


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("ensembel", "Did you mean 'ensemble@1'?"), ("ensemble@2", "Did you mean 'ensemble@1'"),
        ("cards", "Did you mean 'card'?"), ("", "Available: card"), ("photo@", None),
        ([], "at least one template"), (["photo"], "with {} where"), (3, "list of at least one"),
    ],
)  # fmt: skip
def test_refusals(setting, hint):
    if hint is None:
        assert template_set(setting, "x").name == "photo@1"
        return
    with pytest.raises(FewshotError) as caught:
        template_set(setting, "x")
    assert hint in str(caught.value)
    assert "templates: expected" in str(caught.value)


def test_sets_of_a_data_set_by_whose_they_are():
    import open_clip

    eighty = tuple(make("{}") for make in open_clip.OPENAI_IMAGENET_TEMPLATES)
    assert template_set("openai_imagenet", "x").templates == eighty
    for dataset in ("imagenet", "mini_imagenet", "tiered_imagenet"):
        assert template_set("clip", dataset).name == "openai_imagenet@1"
        assert template_set("openai", dataset).name == "openai_imagenet@1"
    assert template_set("clip", "fc100").name == "openai_cifar100@1"
    assert template_set("coop", "dtd").templates == ("{} texture.",)
    for setting, dataset in (("clip", "digits"), ("coop", "mnist")):
        with pytest.raises(
            FewshotError, match=rf"{setting} has none for '{dataset}'.*{dataset[:0]}"
        ):
            template_set(setting, dataset)
