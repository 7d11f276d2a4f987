"""Every part names papers that there are, and every paper is named."""

import re
from pathlib import Path

import pytest
import yaml

import fewshot
from fewshot.estimators import estimators
from fewshot.exceptions import FewshotError
from fewshot.heads import heads
from fewshot.paths import card, option_names, options, read_yaml, resource_dir
from fewshot.references import FILE, known_references, parse_bibtex, resolve
from fewshot.references.bibtex import BibTeXError, latex_escaped, plain_text
from fewshot.references.methods import SAMPLERS, TABLES
from fewshot.report.citing.parts import software
from fewshot.tasks import known_tasks
from fewshot.tasks.segmentation.estimators import estimators as dense_estimators
from fewshot.tasks.segmentation.heads import heads as dense_heads

ROOT = Path(fewshot.__file__).parents[1]
REGISTRIES = (heads, estimators, dense_heads, dense_estimators)
# Of this project, or too simple for a paper.
NONE = {"margin", "margin_t", "constant", "logistic", "resubstitution"}
BACKBONES = options("backbone")
CARDS = sorted(path.stem for path in resource_dir("datasets/cards").glob("*.yaml"))
ARTICLE = "@article{a2020b,\n author = {A, B},\n title = {T},\n journal = {J},\n year = {2020},\n}"


def made(registry, name):
    try:
        return registry[name].load()()
    except TypeError:  # it has parameters without defaults
        return registry[name].load()


def own_parts():
    for registry in REGISTRIES:
        for name in registry:
            if registry[name].package is None:
                yield registry, name


def named():
    """Keys of all parts."""
    for registry, name in own_parts():
        yield from made(registry, name).references
    for settings in (*BACKBONES.values(), *map(card, CARDS)):
        yield from settings["references"]
    for path in resource_dir("datasets/templates").glob("*.yaml"):
        yield from read_yaml(path)["references"]
    for task in known_tasks():
        yield from task.references or ()
    for table in TABLES:
        for keys in table.values():
            yield from keys
    yield from heads["ncm"].load()(power=0.5, l2=True).references


@pytest.mark.parametrize(("registry", "name"), list(own_parts()), ids=lambda value: str(value)[:40])
def test_heads_and_estimators_name_their_papers(registry, name):
    found = resolve(made(registry, name).references, name)
    assert found or name in NONE


def test_backbones_and_cards_name_their_papers():
    for name, settings in BACKBONES.items():
        assert resolve(settings["references"], name) or name == "callable"
    for name in CARDS:
        assert resolve(card(name)["references"], name)


def test_samplers_tasks_and_tables():
    assert set(SAMPLERS) == set(option_names("episodes"))
    for table in TABLES:
        for name, keys in table.items():
            resolve(keys, name)
    assert all(task.references is not None for task in known_tasks())


def test_every_paper_is_named_and_every_key_is_one():
    assert set(named()) == set(known_references())


def test_the_file_is_plain():
    text = FILE.read_text(encoding="ascii")
    assert text.count("{") == text.count("}")
    assert len(known_references()) == len(re.findall("^@", text, re.MULTILINE))
    for key, entry in known_references().items():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z0-9]*", key)
        assert entry.year in key
        assert "eprint" not in entry.fields or re.fullmatch(
            r"\d{4}\.\d{4,5}", entry.fields["eprint"]
        )
        assert not re.search(r"[\\{}]", entry.text()), entry.text()
        title = entry.fields.get("title", "").casefold()
        assert [
            e for e in known_references().values() if e.fields["title"].casefold() == title
        ] == [entry]


def test_entries_survive_writing_and_reading():
    text = "\n\n".join(entry.bibtex() for entry in known_references().values())
    assert {entry.key: entry for entry in parse_bibtex(text)} == dict(known_references())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@article{a,\n author = {B},", "brace is not closed"),
        ("@article{a, title = {x {y}}", "brace is not closed"),
        (ARTICLE.replace(" journal = {J},\n", ""), "no journal"),
        (ARTICLE.replace("2020}", "20}"), "four digits"),
        (ARTICLE.replace("{T}", "{Té}"), "ASCII"),
        (ARTICLE.replace("@article", "@paper"), "expected one of article"),
        (ARTICLE + ARTICLE, "twice"),
        (ARTICLE.replace("{T}", "T"), "expected 'name = {'"),
        ("hello", "expected '@kind{key,'"),
    ],
)
def test_what_is_no_bibtex(text, reason):
    with pytest.raises(BibTeXError, match=re.escape(reason)):
        parse_bibtex(text)


def test_keys_and_bibtex_of_other_packages():
    both = resolve(["snell2017prototypical", ARTICLE], "head mine")
    assert [entry.key for entry in both] == ["snell2017prototypical", "a2020b"]
    with pytest.raises(FewshotError, match=r"references of head mine.*'snell2017prototypical'"):
        resolve(["snell2017protypical"], "head mine")
    with pytest.raises(FewshotError, match="references of head mine: not BibTeX: a: a brace"):
        resolve(["@misc{a, title = {b"], "head mine")
    with pytest.raises(FewshotError, match="expected a tuple of keys"):
        resolve("snell2017prototypical", "head mine")


def test_text_of_names_and_titles():
    papers = known_references()
    assert papers["snell2017prototypical"].cited() == "Snell et al., 2017"
    assert papers["tan2019efficientnet"].cited("a") == "Tan and Le, 2019a"
    assert papers["oquab2024dinov2"].text().startswith("Oquab et al., DINOv2: Learning")
    assert "Balažević" in papers["balazevic2023towards"].text()
    assert papers["torchvision2016"].surnames == ["TorchVision maintainers and contributors"]
    assert (
        plain_text(r"Chapman \& Hall, Fran{\c{c}}ois, ``a'' 1--2")
        == "Chapman & Hall, François, “a” 1\u20132"
    )
    assert latex_escaped(r"50 % a_b {c} \d") == r"50 \% a\_b \{c\} \textbackslash{}d"


def test_the_citation_file_is_that_of_the_software():
    facts = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    entry = software().fields
    assert facts["version"] == fewshot.__version__ == entry["version"]
    assert facts["title"] == entry["title"]
    assert f"{{{facts['authors'][0]['name']}}}" == entry["author"]
    assert facts["license"] == "MIT"
