"""Composition of the configuration without a run, for commands that only need its settings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fewshot.config.errors import check_sections, in_house_form
from fewshot.config.overrides import prepared
from fewshot.config.task_choice import composing
from fewshot.paths import resource_dir
from fewshot.text.llm.settings import check_no_secret


def settings_from(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of ``conf/``, overridden by SETTING=VALUE, as plain containers."""
    with composing(overrides):
        try:
            with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
                return resolved(compose("config", overrides=prepared(overrides)))
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            raise in_house_form(error) from None


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Return every combination of SETTING=VALUE,VALUE, as ``fewshot -m`` expands them."""
    with composing(overrides):
        try:
            words = prepared(overrides, multirun=True)
            parsed = OverridesParser.create().parse_overrides(words)
        except HydraException as error:
            raise in_house_form(error) from None
    choices = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in parsed
    ]
    return [list(chosen) for chosen in itertools.product(*choices)]


def resolved(config: DictConfig) -> dict[str, Any]:
    """Resolve and check a configuration; return it as plain containers."""
    try:
        settings: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise in_house_form(error) from None
    check_sections(settings)
    check_no_secret(settings["llm"])  # before anything is written
    plain: dict[str, Any] = settings
    return plain
