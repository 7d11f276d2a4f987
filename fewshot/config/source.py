"""Hydra's access to the settings that are made from Python: ``head=NAME`` is a registered head."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from fewshot.config.nodes import GROUPS, OPEN_GROUPS, TARGET, has_option, option_of, sections
from fewshot.exceptions import FewshotError

SCHEME = "fewshot"
SECTIONS = "sections"  # the entry of the defaults list of conf/config.yaml


class GeneratedSource(ConfigSource):
    """Groups of registries, whose options follow what is registered, and the sections.

    Values have no types: constructors check them, so that whatever they accept can be set.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)
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
        return name == SECTIONS if not group else group in OPEN_GROUPS and has_option(group, name)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the defaults of the option; imports its module if it has to."""
        group, name = _parts(config_path)
        settings = option_of(group, name) if group else sections()
        for section, content in settings.items():
            if isinstance(content, dict) and TARGET in content:
                self._expect_single(group, section, content[TARGET])
        return ConfigResult(
            provider=self.provider,
            path=f"{SCHEME}://",
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
            return GROUPS[path].names() if path in GROUPS else OPEN_GROUPS[path].plugged()
        groups = [] if results_filter == ObjectType.CONFIG else sorted(OPEN_GROUPS)
        return groups + ([] if results_filter == ObjectType.GROUP else [SECTIONS])


class GeneratedSearchPath(SearchPathPlugin):
    """Puts the source behind ``conf/``, and before the folder of ``--config-dir``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the source to a search path."""
        search_path.append(provider=SCHEME, path=f"{SCHEME}://")


def register() -> None:
    """Make Hydra know the source; to be called before it composes. Calling again does nothing."""
    for plugin in (GeneratedSource, GeneratedSearchPath):
        Plugins.instance().register(plugin)


def _parts(config_path: str) -> tuple[str, str]:
    group, _, name = config_path.removesuffix(".yaml").strip("/").rpartition("/")
    return group, name
