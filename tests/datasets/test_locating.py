"""Where listed images lie when paths are absolute, of another place, or without extension."""

from pathlib import Path

import pytest
from PIL import Image

from fewshot.datasets import load_dataset
from fewshot.datasets.listed import load_listed
from fewshot.exceptions import FewshotError

FILES = ("ant/1.jpg", "ant/2.jpg", "bee/1.jpg")


def image(path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2)).save(path)


def folder(root="d"):
    for file in FILES:
        image(Path(root, file))
    return root


def table(paths, file="l.csv"):
    rows = "".join(f'"{path}",{Path(file_).parent}\n' for path, file_ in
                   zip(paths, FILES, strict=True))  # fmt: skip
    Path(file).write_text("path,class\n" + rows)
    return file


def refusal(root, file, **options):
    with pytest.raises(FewshotError) as caught:
        load_listed("x", root, file, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "form",
    [
        "{top}/d/{file}", "{top}/d/../d/./{file}", "{top}/link/{file}", "/home/me/data/d/{file}",
        "./data/d/{file}", "d/{file}", "~/data/{file}", "C:\\Users\\me\\d\\{file}",
        "\\\\server\\share\\d\\{file}", "/{file}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("root", ["d", "link"])
def test_paths_of_other_places(workplace, form, root):
    folder()
    Path("link").symlink_to("d")
    paths = [form.format(top=workplace, file=file) for file in FILES]
    Path("lists").mkdir()
    dataset = load_listed("x", root, table(paths, "lists/l.csv"))
    assert dataset.paths == FILES
    assert dataset.labels.tolist() == [0, 0, 1]


def test_absolute_and_relative_paths_in_a_list(workplace):
    folder()
    mixed = [f"{workplace}/d/ant/1.jpg", "ant/2.jpg", "/other/machine/bee/1.jpg"]
    assert load_listed("x", "d", table(mixed)).paths == FILES


def test_nothing_outside_of_the_root_is_read(workplace):
    folder()
    folder("beside")
    image("outside.jpg")
    for paths in (
        [f"{workplace}/outside/{i}.jpg" for i in range(3)],
        [f"{workplace}/outside.jpg", "ant/2.jpg", "bee/1.jpg"],
        [f"C:{workplace}/outside.jpg", "ant/2.jpg", "bee/1.jpg"],
    ):
        assert "are missing, first '/" in refusal("d", table(paths))
    for path in ("../outside.jpg", "ant/../../outside.jpg", "d/../../outside.jpg", "C:outside.jpg"):
        message = refusal("d", table([path, "ant/2.jpg", "bee/1.jpg"]))
        assert "l.csv, line 2: expected a path below the data set's folder" in message
    beside = [f"{workplace}/beside/{file}" for file in FILES]
    assert load_listed("x", "d", table(beside)).paths == FILES  # the same ends below the root


def test_ends_that_several_files_have(workplace):
    folder("d/a")
    folder("d/b")
    message = refusal("d", table([f"/data/{file}" for file in FILES]))
    assert "could be 'd/a/ant/1.jpg' or 'd/b/ant/1.jpg'" in message
    assert "Set dataset.root to the folder" in message
    assert len(load_listed("x", "d/a", "l.csv")) == 3
    longer = table([f"/data/b/{file}" for file in FILES])
    assert load_listed("x", "d", longer).paths[0] == "b/ant/1.jpg"
    folder("e")
    folder("e/e")
    assert "could be 'e/ant/1.jpg' or 'e/e/ant/1.jpg'" in refusal(
        "e", table([f"/data/e/{file}" for file in FILES])
    )


def test_ends_must_tell_images_apart(workplace):
    image("d/1.jpg")
    image("d/2.jpg")
    message = refusal("d", table([f"/data/{file}" for file in FILES]))
    assert "3 of 3 images that l.csv lists are missing, first '/data/ant/1.jpg'" in message
    assert "looked for the ends of such paths in 'd'" in message


@pytest.mark.parametrize("root", ["d", "d/ant"])
def test_identifiers_without_an_extension(workplace, root):
    for file in ("1.2.840.jpg", "x.y.PNG", "3.jpeg", "3.txt"):
        (image if file != "3.txt" else folder)(Path("d/ant", file) if file != "3.txt" else "e")
    Path("d/ant/3.txt").write_text("no image")
    dataset = load_listed("x", root, table(["1.2.840", "x.y", "3"]))
    assert {Path(path).name for path in dataset.paths} == {"1.2.840.jpg", "x.y.PNG", "3.jpeg"}
    image("d/ant/3.png")
    message = refusal(root, "l.csv")
    assert "1 of 3 images of l.csv could be several files, the first is '3': 3.jpeg or 3.png" in (
        message
    )
    assert "Write the extension" in message
    assert "are missing, first '9'" in refusal(root, table(["1.2.840", "x.y", "9"]))


def test_metadata_of_hugging_face(workplace):
    for subset in ("train", "test"):
        image(f"d/{subset}/ant.jpg")
        image(f"d/{subset}/bee.jpg")
        text = "file_name,label\nant.jpg,ant\nbee.jpg,bee\n"
        Path(f"d/{subset}/metadata.csv").write_text(text)
    dataset = load_listed("x", "d")
    assert dataset.paths == ("train/ant.jpg", "test/ant.jpg", "train/bee.jpg", "test/bee.jpg")
    assert dataset.subset.tolist() == ["train", "test"] * 2
    only = load_listed("x", "d/train")
    assert (only.paths, only.subset, only.parts) == (("ant.jpg", "bee.jpg"), None, None)


def test_a_list_that_is_called_train_is_all_there_is(workplace):
    folder()
    dataset = load_listed("x", "d", table(FILES, "train.csv"))
    assert (dataset.parts, dataset.subset) == (None, None)
    assert load_listed("x", "d", table(FILES, "test.csv")).parts == ("novel", "novel")


def test_subsets_without_a_common_class_are_parts(workplace):
    folder()
    words = dict(zip(FILES, ("train", "train", "test"), strict=True))
    rows = "".join(f"{file},{Path(file).parent},{word}\n" for file, word in words.items())
    Path("l.csv").write_text("path,class,subset\n" + rows)
    dataset = load_listed("x", "d", "l.csv")
    assert (dataset.parts, dataset.subset) == (("base", "novel"), None)


def test_through_the_settings(workplace):
    folder()
    Path("l.csv").write_text("bild,art\nant/1.jpg,x\nbee/1.jpg,X\n")
    columns = {"path": "bild", "label": "art", "subset": None}
    settings = {"kind": "listed", "root": "d", "split_file": "l.csv", "columns": columns}
    with pytest.raises(FewshotError, match="differ in spelling only"):
        load_dataset(settings)
    assert load_dataset(settings | {"same_names": "keep"}).classnames == ("X", "x")
