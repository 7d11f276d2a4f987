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

FOUND = "optimization_results.yaml"  # written by the sweeper
OUTCOME = "tuning.json"


class TuningReport(SweepReport):
    """Says what was found in place of a report over trials, whose cells all have one name."""

    def on_multirun_start(self, config: DictConfig, **given: Any) -> None:
        """Keep Optuna from telling its own story on the terminal."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.earlier = trials(Path(config.hydra.sweep.dir))
        super().on_multirun_start(config, **given)

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Run the settings as they were on the same episodes, compare and print."""
        folder = Path(config.hydra.sweep.dir)
        best: Any = OmegaConf.to_container(OmegaConf.load(folder / FOUND))
        default = run_unchanged(config, folder)
        overrides = list(config.hydra.overrides.task)
        part = str(config.episodes.part)
        found = outcome(folder, best["best_params"], overrides, part, default, self.earlier)
        save(found, folder / OUTCOME)
        print(f"{found}\n\nTrials: {folder}")


def run_unchanged(config: DictConfig, folder: Path) -> Path | None:
    """Run folder of the settings without those that were searched; None if they cannot be run."""
    from fewshot.evaluation.run import run

    own = copy.deepcopy(config)  # Hydra leaves out what the sweeper varies
    with open_dict(own):
        del own["hydra"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return run(own, folder, label="as_they_were").folder
    except FewshotError as error:
        print(f"fewshot: the settings as they were: {error}", file=sys.stderr)
        return None
