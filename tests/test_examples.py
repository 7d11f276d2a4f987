"""The examples run as their README prints them, and write and say what they promise."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
PLUGIN = EXAMPLES / "plugin"
SMALL = {
    "own_images.py": ["--shots", "3"],
    "compare.py": ["--episodes", "30", "--shots", "3", "--head", "ncm", "ridge"],
    "segmentation.py": ["--draws", "2", "--shots", "1", "--size", "short:96"],
    "own_head.py": ["--episodes", "20", "--shots", "3"],
}

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="not a source tree")


def printed_commands(folder=EXAMPLES):
    """Command lines of the README of a folder, in order."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Features that the examples share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(cache, monkeypatch):
    """Of programs: no hub, one core, the shared cache."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings = {"FEWSHOT_CACHE": str(cache), "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    settings |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error::DeprecationWarning:fewshot"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return os.environ


@pytest.fixture
def run(environment, workplace):
    """Function that runs a command line of the README in a folder with the examples."""
    (workplace / "examples").symlink_to(EXAMPLES)

    def start(line, further=(), folder="."):
        program, *arguments = shlex.split(line)
        python = [sys.executable] if program == "python" else [sys.executable, "-m", program]
        done = subprocess.run(
            [*python, *arguments, *further], cwd=workplace / folder, env=environment,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return start


def small(line):
    """Further options of the script in a command, for little work."""
    return next((options for name, options in SMALL.items() if name in line), [])


def printed(beginning):
    """The one command of the README that begins so."""
    (line,) = (line for line in printed_commands() if line.startswith(beginning))
    return line


def is_drawn(path):
    """Whether a picture has more than a few colours and is not mostly of one."""
    with Image.open(path) as picture:
        colours = picture.convert("RGB").getcolors(1 << 24)
        most = max(count for count, _ in colours) / (picture.width * picture.height)
    return len(colours) > 20 and most < 0.97


def percents(text):
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


def test_own_images_of_digits(run, workplace):
    line = printed("python examples/own_images.py --output")
    output = run(line, small(line))
    assert "of 100 new images would be labelled wrongly" in output
    assert "one/wrong.png (of one): the same picture as 'eight/" in output  # the mistake is found
    predicted, lower, upper, actual = percents(output.splitlines()[-3])
    assert lower < predicted < upper and lower < actual < upper
    folder = workplace / "digits_model"
    assert (folder / "forecast.html").read_text().lower().startswith("<!doctype html>")
    assert is_drawn(folder / "learning_curve.png") and is_drawn(folder / "confusion.png")
    assert len((folder / "labels.csv").read_text().splitlines()) == 301
    assert (folder / "model.fewshot").stat().st_size > 10_000


def test_own_images_of_a_folder(run, photos, workplace):
    (photos / "class_0").rename(workplace / "unsorted")
    photos.rename(workplace / "my_images")
    output = run(printed("python examples/own_images.py my_images"), ["--size", "32"])
    assert "from 40 images" in output and "No image stands out" in output
    assert "true error" not in output  # which nobody knows
    assert len((workplace / "own_images" / "labels.csv").read_text().splitlines()) == 9


def test_compare(run, workplace):
    line = printed("python examples/compare.py --output")
    output = run(line, small(line))
    differences = [row for row in output.splitlines() if row.split()[1:2] == ["compare:Pixels"]]
    assert len(differences) == 2  # a row per head
    for row in differences:
        difference, lower, upper = map(float, row.split()[4:7])
        assert lower < difference < upper < 0  # pixels are ahead on scans of 8 x 8
    folder = workplace / "compared"
    assert len((folder / "heads.csv").read_text().splitlines()) == 3
    pictures = sorted(path.name for path in folder.glob("*.png"))
    assert pictures == [
        "backbones.png", "predicted_compare_Pixels.png", "predicted_efficientnet_lite0.png"
    ]  # fmt: skip
    assert all(is_drawn(folder / name) for name in pictures)
    assert "compare:Pixels" in (folder / "report.html").read_text()


def test_segmentation(run, workplace):
    line = printed("python examples/segmentation.py --output")
    output = run(line, small(line))
    predicted, lower, upper = percents(output[output.index("Predicted mIoU") :])[:3]
    assert 20 < lower < predicted < upper < 100
    folder = workplace / "segmented"
    assert (folder / "draws.csv").read_text().count("pixel_lda") == 2
    assert is_drawn(folder / "overlays.png") and is_drawn(folder / "miou_by_shots.png")
    masks = sorted((folder / "masks").glob("*.png"))
    assert len(masks) == 6 and len(np.unique(np.asarray(Image.open(masks[0])))) > 1


def test_own_head(run):
    line = printed("python own_head.py")
    output = run(line, small(line), folder="examples")
    assert "check_head: passed" in output
    assert re.search(r"ncm +myhead +3 +-?0\.\d+", output)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks(path, environment, workplace):
    """They run, with the kinds of outputs that are committed."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    committed, again = nbformat.read(path, 4), nbformat.read(path, 4)
    resources = {"metadata": {"path": str(workplace)}}
    nbclient.NotebookClient(again, timeout=300, resources=resources).execute()

    def kinds(cell):
        return [set(o["data"]) for o in cell.get("outputs", ()) if "data" in o]

    for before, after in zip(committed.cells, again.cells, strict=True):
        assert kinds(before) == kinds(after)
    assert path.stat().st_size < 400_000
    text = "\n".join(
        output.get("text") or output["data"]["text/plain"]
        for cell in again.cells
        for output in cell.get("outputs", ())
        if output.get("name") != "stderr"
    )
    if path.stem == "predicted_error":
        assert float(re.search(r"auto +(\d\.\d+)", text)[1]) > 0.5  # Spearman over all tasks
    else:
        assert len(re.findall("  True", text)) == 4 and "False" not in text  # all rows agree
        assert "equal to the last bit: True" in text and "\\begin{tabular}" in text


def test_every_command_names_what_is_there():
    """Scripts, notebooks and folders of the README; every example is in it."""
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in [*SCRIPTS, *NOTEBOOKS, PLUGIN]:
        assert f"]({path.name}" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_links_of_notebooks_lead_somewhere(path):
    nbformat = pytest.importorskip("nbformat")
    text = "".join(
        cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"
    )
    targets = re.findall(r"\]\(([^)#]+)", text)
    assert targets and [name for name in targets if not (EXAMPLES / name).exists()] == []


def test_notebooks_are_pages_of_the_site(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from site_builder.repository import page_of_file

    page = page_of_file("examples/predicted_error.ipynb")
    assert page.count("](data:image/png;base64,") == 1
    assert "](../../error-estimation.md)" in page  # links as they are on the site
    assert page.count("```python\n") == page.count("```text\n") + 1 > 5
    assert "<div" not in page and "execution_count" not in page


@pytest.mark.slow
def test_all_commands_as_printed(run, photos, workplace):
    """One after the other in one folder, as somebody who reads the page would."""
    from fewshot.segmentation import load_masks, write_folder

    photos.rename(workplace / "my_images")
    (workplace / "my_images" / "class_0").rename(workplace / "unsorted")
    scenes = load_masks({"kind": "scenes", "train": 20, "test": 2, "size": [96, 128]})
    write_folder(scenes, workplace / "my_scenes")
    (workplace / "new_images").symlink_to(workplace / "my_scenes" / "images")
    for line in printed_commands():
        if line == "cd examples":
            continue
        folder = "." if "examples/" in line else "examples"
        if line.startswith("jupyter"):
            continue  # it would change the notebooks; test_notebooks runs them
        further = [f"paths.runs={workplace / 'runs'}"] if line.startswith("fewshot 'head") else []
        run(line, further, folder)


@pytest.mark.slow
def test_commands_of_the_plugin(run, workplace, monkeypatch):
    source, site = workplace / "source", workplace / "site"
    shutil.copytree(PLUGIN, source)  # builds leave files behind
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ['PYTHONPATH']}")
    pip, *commands = printed_commands(PLUGIN)
    assert pip == "pip install examples/plugin"
    output = [run(line.partition("  #")[0]) for line in commands]
    assert re.search(r"geometric_median.*\[fewshot-example\]", output[0])
    assert "resubstitution" in output[2] and "geometric_median" in output[3]
