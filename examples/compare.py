"""Is one network better than another, and one classifier than another, on the same episodes?

    python examples/compare.py                                     # scans of handwritten digits
    python examples/compare.py my_images --backbone resnet18 dinov2_vits14 --head ncm ridge

``my_images`` has a sub-folder of images per class. Beside the networks stands what everyone has to
beat: the pixels themselves, through no network at all.
"""

import argparse
from pathlib import Path

import torch

import fewshot


class Pixels(torch.nn.Module):
    """A network that has learned nothing: the mean colours of 8 x 8 squares."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features (B, 192) of images (B, 3, S, S)."""
        return torch.nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)


def main() -> None:
    """Extract, evaluate, compare and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="?", default="digits", help="a sub-folder per class")
    parser.add_argument("--backbone", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--head", nargs="+", default=["ncm", "ridge"], help="two or more")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--output", type=Path, default=Path("compare"), help="folder for files")
    arguments = parser.parse_args()
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)

    # 1. Features, once per network; `callable:MODULE:NAME` is a network of one's own. They are kept
    #    in the cache, so that the second run of this script starts with the evaluation.
    networks = [*arguments.backbone, "callable:compare:Pixels"]
    banks = [fewshot.extract(arguments.images, backbone=name, split="none") for name in networks]

    # 2. The same episodes for all networks and heads: draws depend on labels and the seed alone.
    results = fewshot.Results.join(
        fewshot.evaluate(
            bank,
            head=arguments.head,
            ways=arguments.ways,
            shots=arguments.shots,
            episodes=arguments.episodes,
            estimators=["auto", "margin"],
        )
        for bank in banks
    )
    shown = ["backbone", "head", "shots", "accuracy", "lower", "upper", "auto_mae"]
    print(results.table[shown].round(3).to_string(index=False))

    # 3. Differences on the same episodes, with intervals over episodes: other draws from these
    #    images of these classes. `better` counts the episodes in which the first is ahead.
    names = list(dict.fromkeys(results.table["backbone"]))
    columns = ["first", "second", "head", "backbone", "shots", "difference", "lower", "upper"]
    columns += ["better", "equal", "worse"]
    for of, compared in {"backbone": names, "head": arguments.head}.items():
        pairs = results.compare(*compared, of=of)
        pairs.to_csv(output / f"{of}s.csv", index=False)
        print(f"\n{of.capitalize()}s, first minus second, with 95 % intervals:")
        print(pairs[[name for name in columns if name in pairs]].round(3).to_string(index=False))

    # 4. Pictures, and the page with everything, episode by episode.
    results.plot("backbones").savefig(output / "backbones.png", dpi=150)
    for name, part in zip(names, results.parts, strict=True):
        file = f"predicted_{name.replace(':', '_')}.png"
        part.plot("predicted").savefig(output / file, dpi=150)
    results.report(output / "report.html")
    print(f"\nFiles: {output}")


if __name__ == "__main__":
    main()
