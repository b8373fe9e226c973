"""Follows the configuration of its node, and says what it comes to: from a file, or from a ConfigMap by the node's label.

What cannot be read changes nothing: the last good settings stand, and the condition says why.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

from aliquot import document
from aliquot.document import DocumentError
from aliquot.kube.api.core import ConfigMap, Node
from aliquot.kube.roles import NAMESPACE, PLUGIN_CONFIG_MAP
from aliquot.node.feed import Feed
from aliquot.node.plugin_config import choice, file
from aliquot.node.plugin_config.choice import FALLBACKS, Fallback, NotChosen
from aliquot.node.plugin_config.file import Flags
from aliquot.node.plugin_config.settings import Settings, SettingsError, resolve
from aliquot.node.status import Note

_LOOK_S = 1.0
"""Between two looks at a file. A mounted ConfigMap is exchanged by a link, which no file watch would follow."""

_log = structlog.get_logger()


class Configuration:
    """`given` on the command line goes before all else. Without `path` the ConfigMap counts."""

    def __init__(
        self,
        given: Flags | None = None,
        *,
        path: Path | None = None,
        config_map: str = "",
        default: str = "",
        fallbacks: Sequence[Fallback] = FALLBACKS,
        settings: Settings | None = None,
    ) -> None:
        self._given = given or Flags()
        self._path = path
        self.config_map = config_map
        """Name of the ConfigMap; empty: none is followed."""
        self._default = default
        self._fallbacks = fallbacks
        self.settings = settings or resolve(self._given, file.PluginConfig())
        """As far as they are known."""
        self.is_known = (path is None and not config_map) or settings is not None
        """Whether any configuration could be read since the start; until then `settings` are a guess."""
        self.problem = Note()
        """Why what is configured cannot be had; without a reason when it can."""

    async def run(
        self,
        node_name: str,
        nodes: Feed[Node],
        config_maps: Feed[ConfigMap] | None,
        changed: Callable[[], None],
    ) -> None:
        """Until cancelled, or until nothing is left to follow. `changed` is called when settings or problem are others.

        `config_maps` is that of the name `config_map`; None where none is followed.
        """
        if self._path is not None:
            await self._follow_file(self._path, changed)
            return
        if config_maps is None:
            return
        await nodes.synced()
        await config_maps.synced()
        wake = asyncio.Event()
        unlisten = (nodes.listen(node_name, wake.set), config_maps.listen(self.config_map, wake.set))
        try:
            while True:
                wake.clear()
                node = next(iter(nodes.of(node_name)), None)
                labels = (node.metadata.labels or {}) if node is not None else {}
                found = next(iter(config_maps.of(self.config_map)), None)
                self._look(labels, (found.data or {}) if found is not None else None, changed)
                await wake.wait()
        finally:
            for one in unlisten:
                one()

    async def _follow_file(self, path: Path, changed: Callable[[], None]) -> None:
        text: str | None = None
        while True:
            try:
                if (read := document.read(path)) != text:
                    text = read
                    self._settle(read, str(path), changed)
            except DocumentError as error:
                text = None
                self._tell(Note("BadConfig", str(error)), changed)
            await asyncio.sleep(_LOOK_S)

    def _look(
        self, labels: Mapping[str, str], configs: Mapping[str, str] | None, changed: Callable[[], None]
    ) -> None:
        """`configs` None: there is no such ConfigMap."""
        if configs is None and self.config_map != PLUGIN_CONFIG_MAP:
            # That of the usual name is there if somebody wants it. Another one somebody has asked for.
            missing = f"there is no ConfigMap {NAMESPACE}/{self.config_map}"
            self._tell(Note("NoSuchConfigMap", missing), changed)
            return
        configs = configs or {}
        chosen = choice.choose(labels, configs, default=self._default, fallbacks=self._fallbacks)
        if isinstance(chosen, NotChosen):
            self._tell(
                Note("NoSuchConfig", f"ConfigMap {NAMESPACE}/{self.config_map}: {chosen.reason}"), changed
            )
            return
        source = f"ConfigMap {NAMESPACE}/{self.config_map}, {chosen.name}"
        self._settle(configs.get(chosen.name, ""), source, changed)

    def _settle(self, text: str, source: str, changed: Callable[[], None]) -> None:
        try:
            settings = resolve(self._given, file.parse(text, source=source))
        except DocumentError as error:
            self._tell(Note("BadConfig", str(error)), changed)
            return
        except SettingsError as error:
            self._tell(Note("BadConfig", f"{source}: {error}"), changed)
            return
        if settings != self.settings or not self.is_known:
            self.settings, self.is_known = settings, True
            _log.info("configuration", source=source)
            changed()
        self._tell(Note(), changed)

    def _tell(self, problem: Note, changed: Callable[[], None]) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem.reason:
                _log.warning("configuration not taken", error=problem.message)
            changed()
