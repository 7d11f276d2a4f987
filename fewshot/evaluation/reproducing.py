"""A run computed anew from its folder, and compared with what is there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fewshot.config.compose import resolved, settings_from
from fewshot.evaluation.facts import environment
from fewshot.evaluation.settings import evaluation_of
from fewshot.exceptions import FewshotError
from fewshot.files import regular_file
from fewshot.hardware import available_cores
from fewshot.results.agreement import CellAgreement, agreement, changed_environment
from fewshot.results.cells import load_run

CONFIG = "config.yaml"
# Chosen among files of conf/, so that the defaults are those of another choice.
CHOSEN = ("dataset", "backbone", "head", "estimator", "logger")


@dataclass(frozen=True)
class Reproduction:
    """A run beside itself, computed anew.

    Attributes
    ----------
    folder : Path
        Of the earlier run.
    cells : list of CellAgreement
    failed : list of str
        Why cells could not be computed again.
    environment : dict of str to str
        What differs in versions and machine: ``{"torch": "2.3.0 -> 2.9.1"}``.
    """

    folder: Path
    cells: list[CellAgreement]
    failed: list[str]
    environment: dict[str, str]

    @property
    def is_same(self) -> bool:
        """Whether all rows of all cells are the same to the last bit."""
        return all(cell.is_same for cell in self.cells)


def reproduce(folder: Path, overrides: Sequence[str] = ()) -> Reproduction:
    """Compute a run again from the settings in its folder; nothing of it is kept.

    Parameters
    ----------
    folder : Path
        Of the run.
    overrides : sequence of str
        ``SETTING=VALUE``, for what differs on this machine: ``dataset.root=...``, ``device=cpu``.

    Raises
    ------
    FewshotError
        The folder is damaged or has no settings (runs made in Python), or one cannot be set.
    """
    summary, earlier = load_run(folder)
    settings = settings_of(folder, overrides)
    with tempfile.TemporaryDirectory() as scratch:
        settings["paths"]["runs"] = scratch  # no cell of an earlier run is found there
        evaluation = evaluation_of(settings)
        output = evaluation.run()
    engine = evaluation.settings
    here = environment(str(engine.device), engine.threads or available_cores())
    return Reproduction(
        folder,
        agreement(earlier, output.cells),
        [f"{cell['head']}: {cell['error']}" for cell in output.failed],
        changed_environment(summary["environment"] or {}, here),
    )


def settings_of(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The settings in a run folder; what is newer than the run has its default."""
    try:
        text = regular_file("RUN", folder / CONFIG).read_text(encoding="utf-8")
        saved = yaml.safe_load(text)
    except FileNotFoundError:
        raise FewshotError(
            "RUN",
            f"{folder} has no {CONFIG}, so that its settings are not known",
            "Runs saved from Python have none: run the script again.",
        ) from None
    except (ValueError, yaml.YAMLError) as error:
        raise FewshotError("RUN", f"cannot read {folder / CONFIG}: {error}") from None
    if not isinstance(saved, dict) or not isinstance(saved.get("episodes"), dict):
        raise FewshotError("RUN", f"{folder / CONFIG} is no configuration of a run")
    sampler = saved["episodes"].get("sampler", "balanced")
    defaults = settings_from([f"task={saved.get('task', 'classification')}", f"episodes={sampler}"])
    settings = {**defaults, **saved}
    for name, section in defaults.items():
        if isinstance(section, dict) and isinstance(saved.get(name), dict) and name not in CHOSEN:
            settings[name] = {**section, **saved[name]}
    settings |= {"logger": {}, "results": {"policy": "always"}}
    return resolved(_overridden(settings, overrides))


def _overridden(settings: Mapping[str, Any], overrides: Sequence[str]) -> Any:
    config = OmegaConf.create(dict(settings))
    OmegaConf.set_struct(config, True)  # a setting that is not there is a mistake
    for word in overrides:
        name, equals, value = word.partition("=")
        if not equals:
            raise FewshotError("arguments", f"expected SETTING=VALUE, got {word!r}")
        try:
            OmegaConf.update(config, name, yaml.safe_load(value))
        except (OmegaConfBaseException, yaml.YAMLError):
            raise FewshotError(name, "the settings of the run have no such name") from None
    return config
