"""Few-shot segmentation of folders: heads, what the support predicts, and what it costs.

    python benchmarks/segmentation.py FOLDER ...                # images/ and masks/
    python benchmarks/segmentation.py FOLDER --draws 40 --heads pixel_lda --shots 1 2 5 10
    python benchmarks/segmentation.py FOLDER --probe            # the linear probe at every rate
    python benchmarks/segmentation.py FOLDER --cost             # one pass against cell by cell
    python benchmarks/segmentation.py                           # generated scenes, no download

Queries are the part test (else val) of the folder, annotated images are drawn from train; sampler
per_class, EfficientNet-Lite0 with its last three stages, short side 384, stride 16.

The first table has mIoU in points with its interval over draws, and what `loo_image` and
`resubstitution` said of each draw: mean |predicted - actual|, bias, coverage and width of the 90 %
interval, Pearson's r and mean error of per-class IoU. --probe adds the linear probe of arXiv
2401.11311 at fixed learning rates: its best one is chosen here by the queries, which nobody could
do. CPU is the time of one fit, features at hand. --cost times one pass over the queries for all
heads, draws and shots against the features of the queries alone, and against a run per head and
number of shots, and per draw as well.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

from common import table, write

import fewshot
from fewshot.segmentation import Constant, LinearProbe, PixelLDA, load_masks

RATES = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)


def evaluated(data: Any, arguments: argparse.Namespace, **changes: Any) -> fewshot.Results:
    """A run of segmentation."""
    settings: dict[str, Any] = {
        "head": arguments.heads,
        "shots": arguments.shots,
        "episodes": arguments.draws,
        "seed": arguments.seed,
        "options": {"size": arguments.size, "stride": 16, "pictures": 0},
    }
    return fewshot.evaluate(
        data, task="segmentation", backbone=arguments.backbone, **(settings | changes)
    )


def points(value: float | None, digits: int = 1) -> str:
    """A share in points."""
    return "" if value is None else f"{100 * value:.{digits}f}"


def accuracy_rows(name: str, results: fewshot.Results) -> list[dict[str, Any]]:
    """A row per head and number of shots."""
    rows = []
    for cell in results.cells:
        summary: Any = cell.summary
        miou = summary["miou"]["episodes"]
        half = "" if miou["lower"] is None else f" ± {points(miou['upper'] - miou['mean'])}"
        row = {
            "data": name,
            "head": summary["head"] + (f" ({summary['variant']})" if summary["variant"] else ""),
            "K": summary["shots"],
            "images": round(summary["support_images"], 1),
            "mIoU": points(miou["mean"]) + half,
        }
        for label, estimator in (("loo", "loo_image"), ("resub", "resubstitution")):
            said = summary["estimators"].get(estimator, {})
            row[f"{label} MAE"] = points(said.get("mae"))
            row[f"{label} bias"] = points(said.get("bias"))
        said = summary["estimators"].get("loo_image", {})
        row |= {
            "coverage": points(said.get("coverage"), 0),
            "width": points(said.get("width")),
            "class r": "" if said.get("class_correlation") is None
            else f"{said['class_correlation']:.2f}",
            "class MAE": points(said.get("class_mae")),
            "pixel bias": points(said.get("pixel_error_bias")),
            "chosen": "; ".join(summary.get("notes") or []),
        }  # fmt: skip
        rows.append(row)
    return rows


def probe_rows(name: str, data: Any, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The linear probe at fixed rates, and pixel LDA, on the same draws; without predictions."""
    chosen = [PixelLDA(), *(LinearProbe(lr=rate) for rate in RATES)]
    rows = []
    for head in chosen:
        begun = time.process_time()
        results = evaluated(
            data, arguments, head=head, shots=1, estimators={"constant": Constant()}
        )
        summary: Any = results.cells[0].summary
        miou = summary["miou"]["episodes"]
        rows.append(
            {
                "data": name,
                "head": summary["head"],
                "settings": summary["variant"],
                "K": 1,
                "mIoU": points(miou["mean"]),
                "by draw": " ".join(points(v) for v in results.rows("segmentation")["miou"]),
                "seconds of a fit": f"{summary['seconds']['fit']:.2f}",
                "CPU of the run": f"{time.process_time() - begun:.0f}",
            }
        )
    return rows


def cost_rows(name: str, data: Any, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One pass for all heads, draws and shots, and the same by parts; CPU seconds of processes."""
    none = {"constant": Constant()}
    evaluated(data, arguments, head="prototype", shots=arguments.shots, estimators=none)  # banks
    begun = time.process_time()
    whole = evaluated(data, arguments, estimators=none)
    together = time.process_time() - begun
    begun = time.process_time()
    for head in arguments.heads:
        for shots in arguments.shots:
            evaluated(data, arguments, head=head, shots=shots, estimators=none)
    by_cell = time.process_time() - begun
    begun = time.process_time()
    evaluated(data, arguments, head=arguments.heads[0], shots=1, episodes=1, estimators=none)
    single = time.process_time() - begun
    seconds: Any = [cell.summary["seconds"] for cell in whole.cells]  # type: ignore[typeddict-item]
    features = seconds[0]["features_per_image"]
    heads = arguments.draws * sum(entry["heads_per_image"] for entry in seconds)
    models = len(arguments.heads) * len(arguments.shots) * arguments.draws
    return [
        {
            "data": name,
            "heads x shots x draws": f"{len(arguments.heads)} x {len(arguments.shots)} x "
            f"{arguments.draws}",
            "pass / features alone": f"{(features + heads) / features:.2f}",
            "ms an image": f"{1000 * features:.0f} + {1000 * heads:.0f}",
            "cell by cell / together": f"{by_cell / together:.1f}",
            "model by model / together": f"{models * single / together:.1f}",
            "CPU s": f"{together:.1f}",
        }
    ]


def memory_rows() -> list[dict[str, Any]]:
    """Peak memory of this process after 50 and after 500 generated queries."""
    rows = []
    for number in (50, 500):
        scenes = load_masks({"kind": "scenes", "train": 40, "test": number})
        fewshot.evaluate(scenes, task="segmentation", options={"size": "native", "pictures": 0})
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append({"queries": number, "peak MiB": round(peak)})
    return rows


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", help="none: generated scenes")
    parser.add_argument("--heads", nargs="+", default=["pixel_lda", "prototype", "ridge"])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 2, 5, 10])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", default="short:384")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--memory", action="store_true", help="of generated scenes alone")
    parser.add_argument("--output", help="JSON of the rows")
    arguments = parser.parse_args()
    if arguments.memory:
        write(arguments.output, memory_rows())
        return
    rows = []
    for data in arguments.folders or ["scenes"]:
        name = Path(data).name
        make = probe_rows if arguments.probe else cost_rows if arguments.cost else None
        made = make(name, data, arguments) if make else accuracy_rows(
            name, evaluated(data, arguments)
        )  # fmt: skip
        print(table(made), file=sys.stderr)
        rows += made
    write(arguments.output, rows)


if __name__ == "__main__":
    main()
