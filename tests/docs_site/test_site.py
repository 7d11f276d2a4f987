"""The site is built without a warning, its links lead somewhere, and nothing is left out."""

from __future__ import annotations

import re

import pytest

from fewshot.backbones import kinds as backbone_kinds
from fewshot.config.compose import settings_from
from fewshot.estimators import estimators
from fewshot.heads import heads
from fewshot.paths import option_names

OF_SEGMENTATION = " (task=segmentation)"


def test_it_is_built_without_a_warning(site):
    assert (site.code, "WARNING" in site.printed) == (0, False), site.printed


def test_links_lead_to_pages_and_anchors_and_nothing_is_loaded_from_elsewhere(site, builder):
    assert builder("links").broken_links(site.html) == []


def test_links_that_lead_nowhere_are_found(tmp_path, builder):
    (tmp_path / "a.html").write_text(
        '<a href="b.html">b</a><a href="#no"></a><a href="#yes" id="yes"></a>'
        '<a href="https://example.org"></a><script src="https://example.org/x.js"></script>'
    )
    assert builder("links").broken_links(tmp_path) == [
        "a.html -> #no",
        "a.html -> b.html",
        "a.html -> https://example.org/x.js",
    ]


def settings_of(task):
    """Keys of all settings of a run that are no sections."""
    composed = settings_from([f"task={task}"])

    def keys(value, prefix=""):
        for name, inner in value.items():
            if isinstance(inner, dict) and inner:
                yield from keys(inner, f"{prefix}{name}.")
            elif not (isinstance(inner, dict) and prefix in ("head.", "estimator.")):
                yield f"{prefix}{name}"

    # Settings of loggers have a page of their own.
    return {key for key in keys(composed) if key.partition(".")[0] not in ("logger", "hydra")}


@pytest.mark.parametrize(
    "task", ["classification", "verification", "open_set", "one_class", "segmentation"]
)
def test_every_setting_of_a_run_has_an_entry(task, builder):
    documented = {key for page in builder("settings").pages() for key in page.keys}
    if task == "segmentation":
        documented |= {key.removesuffix(OF_SEGMENTATION) for key in documented}
    not_chosen = {"sweep", "launcher", "tune"}  # groups without a choice
    assert settings_of(task) - documented - not_chosen == set()


@pytest.mark.parametrize("group", ["dataset", "backbone"])
def test_every_setting_of_a_data_set_or_backbone_has_an_entry(group, builder):
    from fewshot.paths import options

    documented = {key for page in builder("settings").pages() for key in page.keys}
    used = {f"{group}.{key}" for content in options(group).values() for key in content}
    assert used - documented - {f"{group}.defaults"} == set()


def test_settings_have_permalinks(site):
    page = site.text("reference/settings/episodes.html")
    assert 'id="episodes-ways"' in page and 'id="episodes-min-images"' in page


@pytest.mark.parametrize(
    "kind, names",
    [
        ("heads", list(heads)),
        ("estimators", list(estimators)),
        ("backbones", option_names("backbone")),
        ("datasets", option_names("dataset")),
    ],
)
def test_everything_that_is_there_is_listed(site, kind, names):
    anchors = set(re.findall(r'id="([^"]+)"', site.text(f"reference/lists/{kind}.html")))
    own = [name for name in names if name not in backbone_kinds.plugged()]
    missing = [name for name in own if f"{kind}-{name.replace('_', '-')}" not in anchors]
    assert missing == []


def test_every_command_has_a_page_with_its_help(site, builder):
    for name, forms in builder("commands").commands().items():
        page = site.text(f"reference/commands/{name}.html")
        assert all(f"fewshot {form}" in page for form in forms), name


def test_every_public_name_has_an_entry(site, builder):
    api = builder("api")
    for name in filter(api.documented, api.public_names()):
        assert f'id="{name.full}"' in site.text(f"{name.page}.html"), name.full


def test_links_of_pages_are_moved_and_those_in_code_are_not(builder):
    moved = builder("repository").moved
    text = "[a](../ARCHITECTURE.md#the-map) `[b](../README.md)` [c](heads/README.md) [d](#x)"
    assert moved("docs/plugins.md", text) == (
        "[a](project/architecture.md#the-map) `[b](../README.md)` [c](heads/index.md) [d](#x)"
    )
    fenced = "```md\n[a](../README.md)\n```\n"
    assert moved("docs/plugins.md", fenced) == fenced
