"""What is cited of runs, in every format, from Python and on the command line."""

import json

import pytest
import yaml

import fewshot
from fewshot.cli.main import main
from fewshot.references import parse_bibtex
from fewshot.report.citing.citation import FORMATS, Citation
from fewshot.report.citing.paragraph import Paragraph
from fewshot.report.citing.parts import CitedRun, parts_of

KEYS = {"fewshot", "snell2017prototypical", "fisher1936use", "papke1996econometric"}


OWN = """
from fewshot.heads import NCM

class Own(NCM):
    references = ("@misc{me2026own, author = {Me, {Of}}, title = {Own}, year = {2026}}", "%s")

class Silent(NCM):
    references = None
"""


@pytest.fixture(scope="module")
def blobs():
    import numpy as np

    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 12)
    return generator.normal(size=(60, 8)) + 3 * np.eye(5, 8)[labels], labels


def evaluated(blobs, **changes):
    wanted = {"head": ["ncm", "lda"], "ways": 3, "shots": [1, 2], "episodes": 6} | changes
    return fewshot.evaluate(*blobs, **wanted)


@pytest.fixture(scope="module")
def results(blobs):
    return evaluated(blobs)


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    return results.save(tmp_path_factory.mktemp("runs"), name="first_run")


def test_papers_and_protocol_from_python(results):
    citation = results.cite()
    assert {entry.key for entry in citation.references} >= KEYS
    text = str(citation)
    for words in (
        "The task is classification",
        "Every setting has 6 episodes, 3-way, 1-shot and 2-shot, drawn by the sampler balanced "
        "(Vinyals et al., 2016) with seed 0; each has all other images as queries.",
        "(Fisher, 1936; Ledoit and Wolf, 2004a; Ledoit and Wolf, 2004b)",
        "Every query is judged by itself (inductive).",
        "95 % confidence intervals over episodes",
        "calibrated on other data sets",
        f"Computed with fewshot {fewshot.__version__} (The fewshot authors, 2026).",
    ):
        assert words in text
    assert results.cells[0].summary["hashes"]["episodes"][:16] in text
    assert "\x01" not in text


def test_only_what_the_run_has_is_said(results):
    """Coverage, counts and hashes are those of the summary."""
    cells = [cell.summary for cell in results.cells]
    covered = [cell["estimators"]["auto"]["coverage"] for cell in cells]
    sentences = results.cite().text
    assert f"{100 * min(covered):.3g} %" in sentences
    bare = [{k: v for k, v in cell.items() if k not in ("estimators", "hashes")} for cell in cells]
    run = CitedRun(bare, {"schema_version": 5}, {})
    said = " ".join(Paragraph("classification", [run], parts_of([run])).sentences())
    assert "predicted" not in said
    assert "SHA-256" not in said
    assert "images of" not in said
    assert "Computed with fewshot (The fewshot authors, 2026)." in f"{Citation.of_runs([run])}"


def test_every_format(results, folder, tmp_path, capsys):
    written = {}
    for kind in FORMATS:
        assert main(["cite", str(folder), "--format", kind]) == 0
        written[kind] = capsys.readouterr().out
    assert {entry.key for entry in parse_bibtex(written["bibtex"])} >= KEYS
    assert "\\cite{fisher1936use,ledoit2004honey,ledoit2004well}" in written["latex"]
    assert " 95 \\% " in written["latex"]
    assert written["bibtex"] in written["markdown"]
    content = json.loads(written["json"])
    assert {"role": "task", "name": "classification", "references": []} in content["parts"]
    assert content["references"]["fisher1936use"]["year"] == "1936"
    assert written["text"].startswith(content["paragraphs"][0])
    target = tmp_path / "cited.bib"
    assert main(["cite", str(folder), "--format", "bibtex", "--output", str(target)]) == 0
    assert target.read_text() == written["bibtex"]


def test_several_runs_are_one_paragraph(blobs, folder, tmp_path, capsys):
    evaluated(blobs, head="pt_map", shots=1, queries=4).save(folder.parent, name="second_run")
    assert main(["cite", str(folder.parent)]) == 0
    text = capsys.readouterr().out
    assert text.count("The task is") == 1
    assert "pt_map (Hu et al., 2021; Cuturi, 2013; transductive: sees all queries" in text
    assert "Other heads judge every query by itself (inductive)." in text


def test_settings_of_the_run_name_data_set_and_backbone(results, folder, tmp_path):
    settings = {
        "dataset": {
            "kind": "cub",
            "name": "features",
            "card": "cub",
            "class_split": "meta_dataset",
        },
        "backbone": {"references": ["oquab2024dinov2"]},
        "episodes": {"sampler": "balanced"},
    }
    summary = [cell.summary for cell in results.cells]
    name = summary[0]["dataset"]
    settings["dataset"]["name"] = name
    keys = {e.key for e in Citation.of_runs([CitedRun(summary, results.run, settings)]).references}
    assert {"wah2011caltech", "triantafillou2020meta", "oquab2024dinov2"} <= keys
    settings["dataset"] = {"kind": "folder", "name": name}
    citation = Citation.of_runs([CitedRun(summary, results.run, settings)])
    assert [part.role for part in citation.without] == ["data set"]


def cited_with(head, results):
    """What is cited for a run of a head that its settings name by its module."""
    cells = [cell.summary | {"head": "theirs", "head_parameters": {}} for cell in results.cells]
    settings = {"head": {"theirs": {"_target_": f"my_heads:{head}"}}}
    return Citation.of_runs([CitedRun(cells, results.run, settings)])


def test_heads_of_others(results, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_heads.py").write_text(OWN % "snell2017prototypical")
    own = cited_with("Own", results)
    assert "theirs (Me, 2026; Snell et al., 2017)" in own.text
    assert "@misc{me2026own," in own.bibtex
    assert "head theirs" not in own.text
    silent = cited_with("Silent", results)
    assert [part.name for part in silent.without if part.role == "head"] == ["theirs"]
    assert "No papers are known of: " in silent.text
    assert "head theirs" in silent.text


@pytest.mark.parametrize("content", ["[1, 2", "- 1\n", ""])
def test_settings_that_cannot_be_read_are_left_out(folder, tmp_path, content, capsys):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "config.yaml").write_text(content)
    assert main(["cite", str(copy)]) == 0
    assert "fisher" not in capsys.readouterr().err


def test_bad_input(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("no model")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "summary.json").write_text("{")
    for arguments, words in (
        ([str(tmp_path / "none")], "RUN: expected folders of runs"),
        ([str(tmp_path / "empty")], "no run under"),
        ([str(tmp_path / "note.txt")], "RUN: expected a model file"),
        ([str(tmp_path / "broken")], "RUN"),
        ([str(folder), "--format", "endnote"], "--format: expected"),
    ):
        assert main(["cite", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_paper_that_there_is_not(results, folder, tmp_path, capsys):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    settings = {"backbone": {"references": ["oquab2024dinov"]}}
    (copy / "config.yaml").write_text(yaml.safe_dump(settings))
    assert main(["cite", str(copy)]) == 2
    assert "Did you mean 'oquab2024dinov2'" in capsys.readouterr().err
