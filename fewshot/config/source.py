"""Hydra's access to the settings that are made from Python: ``head=NAME`` is a registered head."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from fewshot.config.nodes import (
    GROUPS,
    OPEN_GROUPS,
    TARGET,
    has_option,
    option_of,
    registry_of,
    sections,
)
from fewshot.config.task_choice import (
    PRIMARY,
    composed_name,
    composed_task,
    composing_for,
    with_defaults,
)
from fewshot.exceptions import FewshotError
from fewshot.paths import read_yaml, resource_dir
from fewshot.tasks import task_named

SCHEME = "fewshot"
PREFIX = f"{SCHEME}://"
SECTIONS = "sections"  # the entry of the defaults list of conf/config.yaml


class GeneratedSource(ConfigSource):
    """Groups of registries, whose options follow what is registered, and the sections.

    Values have no types: constructors check them, so that whatever they accept can be set. The
    path is the task whose registries count, so that workers of launchers know it, too.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
        self._task = self.path or None
        self._targets: dict[tuple[str, str], str] = {}  # by group and name, of a whole sweep

    @staticmethod
    def scheme() -> str:
        """Name of this kind of source in a search path."""
        return SCHEME

    def available(self) -> bool:
        """Whether the source exists."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path is a group that has a registry."""
        return config_path.strip("/") in ("", *OPEN_GROUPS)

    def is_config(self, config_path: str) -> bool:
        """Whether a path is the sections, or a name or ``module:attribute`` of a group."""
        group, name = _parts(config_path)
        with composing_for(self._task):
            if not group:
                return name == SECTIONS
            return group in OPEN_GROUPS and has_option(group, name)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the defaults of the option; imports its module if it has to."""
        group, name = _parts(config_path)
        with composing_for(self._task):
            settings = option_of(group, name) if group else sections()
        for section, content in settings.items():
            if isinstance(content, dict) and TARGET in content:
                self._expect_single(group, section, content[TARGET])
        return ConfigResult(
            provider=self.provider,
            path=PREFIX,
            config=OmegaConf.create(settings),
            header={"package": None},
        )

    def _expect_single(self, group: str, section: str, target: str) -> None:
        """Raise unless all objects of a section's name are the same: results would mix them."""
        first = self._targets.setdefault((group, section), target)
        if first != target:
            raise FewshotError(
                group,
                f"{target} would be called {section!r}, as is {first}",
                f"Name it: +{group}.NAME.{TARGET}={target}.",
            )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the groups, or the registered names of a group."""
        path = config_path.strip("/")
        if path:
            if results_filter == ObjectType.GROUP:
                return []
            with composing_for(self._task):
                registry = registry_of(path)
                return registry.names() if path in GROUPS else registry.plugged()
        groups = [] if results_filter == ObjectType.CONFIG else sorted(OPEN_GROUPS)
        return groups + ([] if results_filter == ObjectType.GROUP else [SECTIONS])


class PrimarySource(ConfigSource):
    """``conf/config.yaml`` with the defaults of a task, the path."""

    @staticmethod
    def scheme() -> str:
        """Name of this kind of source in a search path."""
        return f"{SCHEME}-{PRIMARY}"

    def available(self) -> bool:
        """Whether the source exists."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path is a group: never."""
        return False

    def is_config(self, config_path: str) -> bool:
        """Whether a path is that of the one configuration in here."""
        return _parts(config_path) == ("", PRIMARY)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the file's content with the choices of the task."""
        content = read_yaml(resource_dir("conf") / f"{PRIMARY}.yaml")
        task = task_named(self.path)
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://",
            config=OmegaConf.create(with_defaults(content, task)),
            header={"package": None},
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the configuration, which is at the top."""
        at_top = not config_path.strip("/") and results_filter != ObjectType.GROUP
        return [PRIMARY] if at_top else []


class GeneratedSearchPath(SearchPathPlugin):
    """Puts the generated source behind ``conf/``, and before the folder of ``--config-dir``.

    The defaults of the task that is composed for come before all of them.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the sources to a search path."""
        name, task = composed_name(), composed_task()
        search_path.append(provider=SCHEME, path=f"{PREFIX}{name or ''}")
        if task is not None and task.defaults:
            scheme = PrimarySource.scheme()
            search_path.prepend(provider=scheme, path=f"{scheme}://{name}")


def register() -> None:
    """Make Hydra know the source; to be called before it composes. Calling again does nothing."""
    for plugin in (GeneratedSource, PrimarySource, GeneratedSearchPath):
        Plugins.instance().register(plugin)


def _parts(config_path: str) -> tuple[str, str]:
    group, _, name = config_path.removesuffix(".yaml").strip("/").rpartition("/")
    return group, name
