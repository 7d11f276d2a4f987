"""Published split files: what they say, whatever the order, and what is wrong with them."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fewshot.datasets.classnames import composed
from fewshot.datasets.split_files import read_class_split, read_image_list
from fewshot.exceptions import FewshotError

EXPECTED = {"base": ["ant", "bee"], "validation": ["cat"], "novel": ["dog", "eel"]}
COOP = {
    "train": [["b/1.jpg", 1, "bee"], ["a/1.jpg", 0, "zebra"]],
    "val": [["b/2.jpg", 1, "bee"]],
    "test": [["a/2.jpg", 0, "zebra"], ["c/1.jpg", 7, "ant"]],
}
# Aliases of aliases: a billion entries, were they written out.
LAUGHS = (
    "val: [&x0 [a]"
    + "".join(f", &x{i} [*x{i - 1}, *x{i - 1}]" for i in range(1, 30))
    + "]\nbase: [*x29]\n"
)


def written(file, content):
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(read, path):
    with pytest.raises(FewshotError) as caught:
        read(Path(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("meta.json", {"train": ["bee", "ant"], "valid": ["cat"], "test": ["dog", "eel"]}),
        ("own.json", EXPECTED),
        ("own.yaml", yaml.safe_dump(EXPECTED)),
        ("s.csv", "class,part\nbee,base\nant,train\neel,novel\ncat,Val\n\ndog,test\n"),
        ("s.csv", "Part , Class\nbase,bee\nbase,ant\nnovel,eel\nnovel, dog\nvalid,cat\nbase,ant\n"),
        ("s.csv", '\ufeffclass,part\r\n"bee",base\r\nant,base\r\neel,novel\r\n"dog",novel\r\n'
                  "cat,validation\r\n"),
    ],
)  # fmt: skip
def test_classes_in_one_file(workplace, file, content):
    assert read_class_split(written(file, content)) == EXPECTED


def test_classes_in_a_folder_of_lists(workplace):
    written("csv/train.csv", "filename,label\n1.jpg,bee\n2.jpg,bee\n3.jpg,ant\n")
    written("csv/val.csv", "filename,label\n4.jpg,cat\n")
    written("csv/test.csv", "filename,label\n5.jpg,eel\n6.jpg,dog\n")
    written("csv/readme.txt", "not a list")
    assert read_class_split(Path("csv")) == EXPECTED
    for part, name in (("base", "train"), ("validation", "val"), ("novel", "test")):
        written(f"txt/{name}.txt", "\n".join(reversed(EXPECTED[part])) + "\n\n")
    assert read_class_split(Path("txt")) == EXPECTED
    for folder in ("csv/val.csv", "txt/val.txt"):
        only = read_class_split(Path(folder))
        assert only == {"base": [], "validation": ["cat"], "novel": []}


names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
splits = st.dictionaries(
    names.map(composed),
    st.sampled_from(["base", "validation", "novel"]), min_size=1, max_size=12,
)  # fmt: skip
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(split=splits, data=st.data())
def test_our_own_files_give_back_what_was_written_in_any_order(workplace, split, data):
    order = data.draw(st.permutations(list(split)))
    lists = {part: [name for name in order if split[name] == part] for part in EXPECTED}
    expected = {part: sorted(names) for part, names in lists.items()}
    assert read_class_split(written("s.json", lists)) == expected
    assert (
        read_class_split(written("s.yaml", yaml.safe_dump(lists, allow_unicode=True))) == expected
    )
    cells = "".join('"{}",{}\n'.format(n.replace('"', '""'), split[n]) for n in order)
    assert read_class_split(written("s.csv", "class,part\n" + cells)) == expected


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("s.json", '{"train": ["cat"], "train": ["dog"]}', "s.json: key 'train' comes twice"),
        ("s.json", "[" * 100_000, "nested too deeply"),
        ("s.json", '{"base": ["cat"]', "cannot parse s.json: Expecting"),
        ("s.json", {"base": ["caf\u00e9"], "novel": ["cafe\u0301"]}, "in base and in novel"),
        ("s.json", {"train": ["cat"], "test": ["cat"]}, "'cat' is in base and in novel of s.json"),
        ("s.json", COOP, "s.json: train lists images, not classes. Set dataset=listed"),
        ("s.json", {"base": [None]}, "base[0]: expected a class name, got None"),
        ("s.json", {"base": [True]}, "base[0]: expected a class name, got True"),
        ("s.json", [], "should list class names under"),
        ("s.csv", "class,part\ncat,bass\n", "s.csv, line 2: expected one of base"),
        ("s.csv", "class,part\ncat,base\ncat,novel\n", "'cat' is in base and in novel"),
        ("s.csv", "class,part\ncat\n", "s.csv, line 2: expected 2 cells (class,part), got 1"),
        ("s.csv", 'class,part\n"cat,base\n', "cannot parse s.csv, line 2"),
        ("s.csv", "name,part\ncat,base\n", "no column 'class' or 'label'; it has name, part"),
        ("s.csv", "class\ncat\n", "no column 'part'"),
        ("s.csv", "class,part\n", "no rows"),
        ("s.csv", "", "no rows"),
        ("s.yaml", "[a, b]: c", "s.yaml"),
        ("s.yaml", "base: &a [*a]", "cannot parse s.yaml"),
        ("s.yaml", "[" * 1_200, "nested too deeply"),
        ("s.yaml", LAUGHS, "val[0]: expected a class name"),
        ("s.yaml", LAUGHS.replace("base: [*x29]", "base: {a: *x29}"), "s.yaml"),
        ("s.yaml", LAUGHS.replace("base: [*x29]", "? [*x29]\n: b"), "cannot parse s.yaml"),
    ],
)
def test_files_of_classes_that_are_wrong(workplace, file, content, message):
    text = refusal(read_class_split, written(file, content))
    assert text.startswith("dataset.split: ")
    assert message in text


def test_folders_that_are_wrong(workplace):
    Path("empty").mkdir()
    assert "has no train.csv" in refusal(read_class_split, "empty")
    for name in ("val", "valid"):
        written(f"two/{name}.csv", "filename,label\n1.jpg,cat\n")
    assert "'val.csv' and 'valid.csv'" in refusal(read_class_split, "two")
    Path("s.json").write_bytes(b"\xff\xfe{\0\0")
    assert "Save it as UTF-8" in refusal(read_class_split, "s.json")


def test_a_coop_file(workplace):
    listed = read_image_list(written("split_zhou.json", COOP))
    assert listed.classnames == ("zebra", "bee", "ant")  # by number
    assert listed.paths == ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "c/1.jpg")
    assert listed.labels.tolist() == [0, 0, 1, 1, 2]
    assert listed.subset.tolist() == ["train", "test", "train", "validation", "test"]
    assert listed.parts is None


def test_mini_imagenet_files(workplace):
    for name, rows in {"train": "1.jpg,n2\n2.jpg,n2\n3.jpg,n1\n", "val": "4.jpg,n3\n",
                       "test": "5.jpg,n0\n"}.items():  # fmt: skip
        written(f"csv/{name}.csv", "filename,label\n" + rows)
    listed = read_image_list(Path("csv"))
    assert listed.classnames == ("n0", "n1", "n2", "n3")
    assert listed.parts == ("novel", "base", "base", "validation")
    assert listed.paths == ("5.jpg", "3.jpg", "1.jpg", "2.jpg", "4.jpg")
    assert listed.labels.tolist() == [0, 1, 2, 2, 3]
    assert listed.lists == ("test", "train", "train", "train", "val")
    assert listed.subset is None
    only = read_image_list(Path("csv/val.csv"))
    assert (only.classnames, only.parts) == (("n3",), ("validation",))


def test_a_table_of_images(workplace):
    text = "path,class,subset\na\\1.jpg,cat,train\n./a//2.jpg,cat,test\nb.jpg,ant,Val\n"
    listed = read_image_list(written("list.csv", text))
    assert listed.paths == ("b.jpg", "a/1.jpg", "a/2.jpg")
    assert listed.subset.tolist() == ["validation", "train", "test"]
    listed = read_image_list(written("list.csv", "filename,label\n1.jpg,cat\n"))
    assert (listed.subset, listed.parts, listed.lists) == (None, None, ("list",))


def contents(listed):
    return [listed.paths, listed.labels.tolist(), listed.classnames, listed.subset.tolist()]


@quick
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_a_list_does_not_matter(workplace, data, seed):
    rng = np.random.default_rng(seed)
    count = data.draw(st.integers(1, 20))
    labels = rng.integers(0, 4, size=count).tolist()
    images = [[f"{i}.jpg", label, f"class {label}"] for i, label in enumerate(labels)]
    subsets = rng.choice(["train", "val", "test"], size=count)
    both = []
    for order in (range(count), rng.permutation(count)):
        lists = {s: [images[i] for i in order if subsets[i] == s] for s in set(subsets.tolist())}
        listed = read_image_list(written("s.json", lists))
        both.append(contents(listed))
        rows = "".join(f"{images[i][0]},{images[i][2]},{subsets[i]}\n" for i in order)
        listed = read_image_list(written("s.csv", "filename,label,subset\n" + rows))
        both[-1] += contents(listed)
    assert both[0] == both[1]
    assert both[0][:4] == both[0][4:]
    by_path = dict(zip(listed.paths, (listed.classnames[c] for c in listed.labels), strict=True))
    assert by_path == {path: name for path, _, name in images}


def coop(**lists):
    return {key: [list(entry) for entry in entries] for key, entries in lists.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (coop(train=[("a.jpg", 0, "x")], test=[("./a.jpg", 0, "x")]),
         "test[0]: image 'a.jpg' is listed twice in train and in test, first as s.json: train[0]"),
        (coop(train=[("a.jpg", 0, "x"), ("a.jpg", 0, "x")]), "train[1]: image 'a.jpg' is listed"),
        (coop(train=[("a.jpg", 0, "x"), ("b.jpg", 0, "y")]), "label 0 is 'y', but 'x' in s.json"),
        (coop(train=[("a.jpg", 0, "x"), ("b.jpg", 1, "x")]), "'x' has label 1, but 0 in s.json"),
        (coop(train=[("a.jpg", 0, "x"), ("b.jpg",)]), "train[1]: expected [path, label"),
        (coop(train=[("a.jpg", "0", "x")]), "expected [path, label, classname], got ['a.jpg', '0'"),
        (coop(train=[("a.jpg", True, "x")]), "expected [path, label, classname]"),
        (coop(train=[("a.jpg", 0, " ")]), "train[0]: the class has no name"),
        (coop(train=[("../a.jpg", 0, "x")]), "a path below the data set's folder, got '../a.jpg'"),
        (coop(train=[("a/../../b.jpg", 0, "x")]), "a path below"),
        (coop(train=[("/etc/a.jpg", 0, "x")]), "a path below"),
        (coop(train=[("C:\\a.jpg", 0, "x")]), "a path below"),
        (coop(train=[("a\0.jpg", 0, "x")]), "a path below"),
        (coop(trian=[("a.jpg", 0, "x")]), "got 'trian'. Did you mean 'train'"),
        (coop(val=[], valid=[]), "'val' and 'valid' are the same"),
        ({"train": ["cat"]}, "To split by class, set dataset=folder dataset.split=FILE"),
        ({"train": {}}, "train should be a list of images"),
        ({"train": []}, "lists no image"),
        ([], "should have lists under train, val and test"),
    ],
)  # fmt: skip
def test_coop_files_that_are_wrong(workplace, content, message):
    text = refusal(read_image_list, written("s.json", content))
    assert text.startswith("dataset.split_file: ")
    assert message in text


@pytest.mark.parametrize("cell", ["", "  ", "nan", "None", "<NA>", " NaT "])
def test_tables_with_a_missing_class(workplace, cell):
    file = written("s.csv", f"filename,label\n1.jpg,cat\n2.jpg,{cell}\n")
    text = refusal(read_image_list, file)
    assert "s.csv, line 3: the class " in text
    assert "missing label" in text or "has no name" in text
    listed = coop(train=[("1.jpg", 0, "cat"), ("2.jpg", 1, "None")])  # a number goes with it
    assert read_image_list(written("s.json", listed)).classnames == ("cat", "None")


def test_tables_of_images_that_are_wrong(workplace):
    def message(text, file="s.csv"):
        return refusal(read_image_list, written(file, text))

    assert "columns filename and label; it has class, part" in message("class,part\ncat,base\n")
    assert "s.csv, line 3: image '1.jpg'" in message("filename,label\n1.jpg,cat\n1.jpg,dog\n")
    assert "s.csv, line 2: expected one of train" in message("path,class,subset\n1.jpg,cat,trian\n")
    assert "or a folder of such" in message("cat", "s.txt")
    written("d/train.csv", "filename,label\n1.jpg,cat\n")
    written("d/test.csv", "filename,label\n2.jpg,cat\n")
    text = refusal(read_image_list, "d")
    assert "'cat' is in" in text and "no class in common" in text and "train" in text
    assert "'cat' is in base and in novel" in refusal(read_class_split, "d")
