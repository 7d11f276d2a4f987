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
}


def test_published_sets_stay_as_they_are():
    known = {f"{name}@{n}" for name, versions in SETS.items() for n in versions}
    assert known == PUBLISHED.keys()
    for name, digest in PUBLISHED.items():
        found = template_set(name, "x")
        check_templates(found.templates)
        assert found.record()["sha256"][:12] == digest, name


def test_names():
    assert template_set("photo", "flowers102").templates == DEFAULT_TEMPLATES
    assert template_set("ensemble", "x") == template_set("ensemble@1", "x")
    assert len(set(template_set("ensemble", "x").templates)) == 8
    for wanted in (None, "card"):
        own = template_set(wanted, "flowers102")
        assert (own.name, own.templates) == ("card", templates_of("flowers102"))
        assert template_set(wanted, "nothing").name == "photo@1"


def test_own_templates():
    found = template_set(["a {}", "{}"], "x")
    assert (found.name, found.templates) == ("own", ("a {}", "{}"))
    assert template_set("one {}", "x").templates == ("one {}",)
    assert found.digest != template_set(["{}", "a {}"], "x").digest


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("ensembel", "Did you mean 'ensemble@1'?"), ("ensemble@2", "Did you mean 'ensemble@1'"),
        ("cards", "Did you mean 'card'?"), ("", "Available: card"), ("photo@", None),
        ([], "at least one template"), (["photo"], "with {} where"), (3, "list of at least one"),
    ],
)  # fmt: skip
def test_refusals(wanted, hint):
    if hint is None:
        assert template_set(wanted, "x").name == "photo@1"
        return
    with pytest.raises(FewshotError) as caught:
        template_set(wanted, "x")
    assert hint in str(caught.value)
    assert "templates: expected" in str(caught.value)
