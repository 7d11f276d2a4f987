"""The end of a search, in the process that started it."""

from __future__ import annotations

import contextlib
import copy
import io
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from fewshot.exceptions import FewshotError
from fewshot.sweeps.sweep import SweepReport
from fewshot.sweeps.tuning.outcome import outcome, save, trials

BEST = "optimization_results.yaml"  # written by the sweeper
OUTCOME = "tuning.json"


class TuningReport(SweepReport):
    """Hydra's callback that prints the outcome of a search, in place of a report over trials."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Silence Optuna's log and list the trials of earlier searches."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.earlier = trials(Path(config.hydra.sweep.dir))
        super().on_multirun_start(config, **kwargs)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Run the default settings on the same episodes, compare and print."""
        folder = Path(config.hydra.sweep.dir)
        best: Any = OmegaConf.to_container(OmegaConf.load(folder / BEST))
        default = run_default(config, folder)
        overrides = list(config.hydra.overrides.task)
        part = str(config.episodes.part)
        result = outcome(folder, best["best_params"], overrides, part, default, self.earlier)
        save(result, folder / OUTCOME)
        print(f"{result}\n\nTrials: {folder}")


def run_default(config: DictConfig, folder: Path) -> Path | None:
    """Run the settings without the searched ones; return the run folder, None on an error."""
    from fewshot.evaluation.run import run

    default = copy.deepcopy(config)  # Hydra leaves out what the sweeper varies
    with open_dict(default):
        del default["hydra"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return run(default, folder, label="as_they_were").folder
    except FewshotError as error:
        print(f"fewshot: the settings as they were: {error}", file=sys.stderr)
        return None
