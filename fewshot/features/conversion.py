"""Lines of Python that save features of other kinds of files as a file that is read."""

from __future__ import annotations

from pathlib import Path

TRUSTED = " (only if you trust the file: it can run code)"
ARRAYS = ('a["features"]', 'a["labels"]')
COLUMNS = ('d.drop(columns="label")', 'd["label"]')
# What reads a kind of file, the expressions of its features and labels, and a caution.
HOW: dict[str, tuple[str, tuple[str, str], str]] = {
    ".npz": ('a = np.load("{}")', ARRAYS, ""),
    ".pt": ('a = torch.load("{}", weights_only=False)', ARRAYS, TRUSTED),
    ".pth": ('a = torch.load("{}", weights_only=False)', ARRAYS, TRUSTED),
    ".csv": ('d = pandas.read_csv("{}")', COLUMNS, ""),
    ".tsv": ('d = pandas.read_csv("{}", sep="\\t")', COLUMNS, ""),
    ".parquet": ('d = pandas.read_parquet("{}")', COLUMNS, ""),
    ".feather": ('d = pandas.read_feather("{}")', COLUMNS, ""),
    ".arrow": ('d = pandas.read_feather("{}")', COLUMNS, ""),
}
# Kinds that are not read at all.
NOT_READ: dict[str, tuple[str, tuple[str, str], str]] = {
    ".mat": ('a = scipy.io.loadmat("{}")', ARRAYS, ""),
    ".h5": ('a = h5py.File("{}")', ('a["features"][:]', 'a["labels"][:]'), ""),
    ".hdf5": ('a = h5py.File("{}")', ('a["features"][:]', 'a["labels"][:]'), ""),
    ".zarr": ('a = zarr.open("{}")', ('a["features"][:]', 'a["labels"][:]'), ""),
    ".pkl": ('a = pickle.load(open("{}", "rb"))', ARRAYS, TRUSTED),
    ".pickle": ('a = pickle.load(open("{}", "rb"))', ARRAYS, TRUSTED),
    ".joblib": ('a = joblib.load("{}")', ARRAYS, TRUSTED),
    ".json": ('a = json.load(open("{}"))', ARRAYS, ""),
    ".jsonl": (
        'd = pandas.read_json("{}", lines=True)',
        ('np.stack(d["features"])', 'd["label"]'),
        "",
    ),
    ".txt": ('a = np.loadtxt("{}")', ("a[:, :-1]", "a[:, -1]"), ""),
    ".xlsx": ('d = pandas.read_excel("{}")', COLUMNS, ""),
}
LABEL_FILES = ("y", "labels", "label", "targets", "target")  # beside features in a .npy file


def line_of_code(file: Path) -> str:
    """The line that saves a file of this kind as .npz; empty for a kind that is not known."""
    how = (HOW | NOT_READ).get(file.suffix.lower())
    if how is None:
        return ""
    load, expressions, caution = how
    return f"{load.format(file.name)}; {saving(*expressions)}{caution}"


def saving(features: str = "features", labels: str = "labels") -> str:
    """The line that saves two expressions as .npz."""
    return f'np.savez("bank.npz", features={features}, labels={labels})'


def choosing(file: Path, features: str, labels: str) -> str:
    """The line that saves two expressions of the content `a` of a file that was read."""
    suffix, name = file.suffix.lower(), file.name
    if suffix == ".safetensors":
        tensors = f'{{"features": {features}, "labels": {labels}}}'
        joined = tensors.replace("np.concatenate", "torch.cat")
        return f'a = load_file("{name}"); save_file({joined}, "bank.safetensors")'
    if suffix == ".npy":
        near = [p.name for p in sorted(file.parent.glob("*.npy")) if p.stem.lower() in LABEL_FILES]
        return saving(f'np.load("{name}")', f'np.load("{near[0]}")' if near else "labels")
    load = "np.load" if suffix == ".npz" else "torch.load"
    return f'a = {load}("{name}"); {saving(features, labels)}'
