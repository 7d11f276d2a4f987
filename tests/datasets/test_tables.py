"""Lists of images in tables: separators, encodings, and which columns are meant."""

import json
from pathlib import Path

import pytest

from fewshot.datasets.split_files import read_class_split, read_image_list
from fewshot.exceptions import FewshotError

ROWS = [("b/1.jpg", "bee", "train"), ("a/1.jpg", "ant", "test"), ("b/2.jpg", "bee", "test")]


def written(file, text, encoding="utf-8"):
    Path(file).write_text(text, encoding=encoding)
    return Path(file)


def refusal(file, text="", encoding="utf-8", **options):
    with pytest.raises(FewshotError) as caught:
        read_image_list(written(file, text, encoding) if text else Path(file), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def expect_rows(listed, subsets=True):
    assert listed.paths == ("a/1.jpg", "b/1.jpg", "b/2.jpg")
    assert listed.classnames == ("ant", "bee")
    assert listed.labels.tolist() == [0, 1, 1]
    subset = None if listed.subset is None else listed.subset.tolist()
    assert subset == (["test", "train", "test"] if subsets else None)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(("file", "encoding"), [("l.csv", "utf-8-sig"), ("l.txt", "utf-16"),
                                                ("l.TSV", "utf-8")])  # fmt: skip
def test_separators_and_encodings(workplace, separator, file, encoding):
    lines = [("filename", "label", "subset"), *ROWS]
    text = "\r\n".join(separator.join(line) for line in lines)
    expect_rows(read_image_list(written(file, text, encoding)))
    said = f"sep={separator}\n{text}"
    expect_rows(read_image_list(written(file, said, encoding)))


def test_other_separators_in_cells(workplace):
    text = 'filename;label\n"a;1.jpg";1,5 mm\nb.jpg;"2|3"\n'
    listed = read_image_list(written("l.csv", text))
    assert (listed.paths, listed.classnames) == (("a;1.jpg", "b.jpg"), ("1,5 mm", "2|3"))


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("b/1.jpg,bee\na/1.jpg,ant\nb/2.jpg,bee\n", "l.csv"),
        ("bee;b/1.jpg\nant;a/1.jpg\nbee;b/2.jpg\n", "l.csv"),
        ("\nb/1.jpg\tbee\n\na/1.jpg\tant\nb/2.jpg\tbee", "l.tsv"),
    ],
)
def test_tables_without_a_header(workplace, text, file):
    expect_rows(read_image_list(written(file, text)), subsets=False)


def test_lines_of_paths_and_numbers(workplace):
    listed = read_image_list(written("l.txt", "a dog/1.jpg 12\nb/1.jpg  2\n"))
    assert (listed.paths, listed.classnames) == (("a dog/1.jpg", "b/1.jpg"), ("12", "2"))
    for text in ("a/1.jpg\nb/1.jpg\n", "a/1.jpg,x,3\n"):
        message = refusal("l.txt", text)
        assert "l.txt, line 1: expected a path and a class" in message
        assert "Put a line with the names of the columns on top" in message


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("file_name", "label"), ("image_path", "label"), ("image_name", "class_name"),
        ("filepaths", "labels"), ("Image ID", "Species"), ("Id", "LABEL"), ("img", "category"),
        ("impath", "classname"), ("ImageID", "LabelName"), ("image", "target"), ("id", "breed"),
    ],
)  # fmt: skip
def test_names_of_columns(workplace, path, label):
    rows = "".join(f"{name},7,{file}\n" for file, name, _ in ROWS)
    listed = read_image_list(written("l.csv", f"{label},width,{path}\n{rows}"))
    expect_rows(listed, subsets=False)
    entries = [{path: file, label: name, "boxes": [[1, 2]]} for file, name, _ in ROWS]
    listed = read_image_list(written("l.jsonl", "\n".join(map(json.dumps, entries))))
    expect_rows(listed, subsets=False)


def test_names_and_numbers_of_classes(workplace):
    rows = "1,b/1.jpg,bee,0,train\n2,a/1.jpg,ant,4,test\n3,b/2.jpg,bee,0,test\n"
    text = "id,filepaths,labels,class id,data set\n" + rows
    listed = read_image_list(written("l.csv", text))
    assert listed.classnames == ("bee", "ant")  # by number
    assert listed.subset.tolist() == ["train", "test", "test"]
    clash = "path,label,classname\na.jpg,0,ant\nb.jpg,0,bee\n"
    assert "l.csv, line 3: label 0 is 'bee', but 'ant' in l.csv, line 2" in refusal("l.csv", clash)
    text = "path,label,classname\na.jpg,1,crane\nb.jpg,0,crane\nc.jpg,1,crane\nd.jpg,2,kite\n"
    message = refusal("l.csv", text)
    assert "l.csv, line 3: class 'crane' has label 0, but 1 in l.csv, line 2" in message
    assert "dataset.same_names=keep" in message
    listed = read_image_list(Path("l.csv"), same_names="keep")
    assert listed.classnames == ("crane (0)", "crane (1)", "kite")
    assert listed.labels.tolist() == [0, 1, 1, 2]


def test_a_column_that_numbers_the_rows_is_no_class(workplace):
    listed = read_image_list(written("l.csv", "y,path,class\n0,a.jpg,x\n1,b.jpg,x\n2,c.jpg,y\n"))
    assert listed.classnames == ("x", "y")


def test_named_columns(workplace):
    text = "Bild,Art,Satz\nb/1.jpg,bee,train\na/1.jpg,ant,test\nb/2.jpg,bee,test\n"
    chosen = {"path": "bild", "label": "Art", "subset": "Satz"}
    expect_rows(read_image_list(written("l.csv", text), columns=chosen))
    message = refusal("l.csv", text)
    assert "it has Bild, Art, Satz" in message and "dataset.columns.path=COLUMN" in message
    message = refusal("l.csv", text, columns={"label": "Arten"})
    assert message.startswith("dataset.columns.label: expected a column of l.csv (Bild, Art, Satz)")
    assert "Did you mean 'Art'" in message
    assert "Did you mean 'label'" in refusal("l.csv", text, columns={"lable": "Art"})
    assert "dataset.columns.label=" in refusal("l.csv", text, columns="Art")


def test_columns_that_could_both_be_meant(workplace):
    text = "path,label,category\na.jpg,x,animal\nb.jpg,y,animal\n"
    message = refusal("l.csv", text)
    assert "several columns that could be the label: label, category" in message
    assert "dataset.columns.label=label" in message
    listed = read_image_list(Path("l.csv"), columns={"label": "category"})
    assert listed.classnames == ("animal",)
    same = "path,label,target\na.jpg,x,1\nb.jpg,y,2\nc.jpg,y,2\n"
    assert read_image_list(written("l.csv", same)).classnames == ("x", "y")


@pytest.mark.parametrize(
    ("words", "subset", "parts"),
    [
        (("Training", "dev", "TEST"), ["train", "validation", "test"], None),
        (("0", "1", "2"), ["train", "validation", "test"], None),
        (("base", "val", "novel"), None, ("base", "validation", "novel")),
    ],
)
def test_words_for_subsets(workplace, words, subset, parts):
    rows = "".join(f"{i}.jpg,c{i},{word}\n" for i, word in enumerate(words))
    listed = read_image_list(written("l.csv", f"path,class,split\n{rows}"))
    assert listed.parts == parts
    assert (None if listed.subset is None else listed.subset.tolist()) == subset


def test_words_for_subsets_that_are_wrong(workplace):
    assert "line 2: the split of all rows is 0 or 1" in refusal(
        "l.csv", "path,class,split\n1.jpg,a,0\n2.jpg,a,1\n"
    )
    message = refusal("l.csv", "path,class,split\n1.jpg,a,base\n2.jpg,a,novel\n")
    assert "line 3: class 'a' is in base and in novel" in message
    other = "path,class,part,phase\n1.jpg,a,left wing,x\n"
    assert read_image_list(written("l.csv", other)).subset is None


def test_classes_that_differ_in_spelling(workplace):
    text = "path,class\n1.jpg,Sea Horse\n2.jpg,sea_horse\n"
    assert "l.csv, line 3: class 'sea_horse' and 'Sea Horse' of l.csv, line 2 differ in" in refusal(
        "l.csv", text
    )
    listed = read_image_list(Path("l.csv"), same_names="keep")
    assert listed.classnames == ("Sea Horse", "sea_horse")


@pytest.mark.parametrize(
    ("file", "remedy"),
    [("l.parquet", "pandas.read_parquet('l.parquet').to_csv('l.csv', index=False)"),
     ("l.XLSX", "pandas.read_excel('l.XLSX').to_csv"), ("l.csv.gz", "Unpack it first"),
     ("l.pkl", "never loaded. Write its images to a CSV"),
     ("l.doc", "or a folder of such")],
)  # fmt: skip
def test_files_that_are_no_text(workplace, file, remedy):
    assert remedy in refusal(file, "x")


def test_text_in_another_encoding(workplace):
    Path("l.csv").write_bytes("path,class\n1.jpg,b\n2.jpg,caf\u00e9\n".encode("cp1252"))
    message = refusal("l.csv")
    assert "l.csv, line 3" in message and "Save it as UTF-8" in message and "cp1252" in message
    Path("l.csv").write_bytes("path,class\n1.jpg,b\n".encode("utf-16-le"))
    assert "NUL characters" in refusal("l.csv")


def test_classes_of_a_split_in_other_tables(workplace):
    text = "Class Name;Split\nbee;train\nant;test\ncow;val\n"
    assert read_class_split(written("s.csv", text)) == {
        "base": ["bee"], "validation": ["cow"], "novel": ["ant"],
    }  # fmt: skip
    with pytest.raises(FewshotError, match=r"line 2: expected one of base"):
        read_class_split(written("s.tsv", "class\tpart\nbee\tbass\n"))
