"""The policy as its files have it now. Files that change are read again; while one of them is broken nobody knows what is to be given,
so nothing new is, and nothing is taken away for it either."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from aliquot import document
from aliquot.access.core.policy import Policy
from aliquot.access.core.policy_file import parse_policy
from aliquot.access.core.templates.bindings import parse_bindings
from aliquot.access.core.templates.catalogue import catalogue
from aliquot.document import Document, DocumentError

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 1.0


class PolicyFiles:
    """The broker's `Policies`."""

    def __init__(self, policy: Path, bindings: Path, templates: Sequence[Path]) -> None:
        """Raises DocumentError: one of them is broken, and there is nothing to begin with."""
        self._policy_file = policy
        self._bindings_file = bindings
        self._templates = templates
        self.problem = ""
        """Why it is not known what holds; empty: it is."""
        self._contents = self._read()
        self.last = self._parsed(self._contents)
        """The last that could be read."""

    def now(self) -> Policy | None:
        return None if self.problem else self.last

    def to_end(self) -> Policy:
        return self.last

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Once."""
        try:
            contents = await asyncio.to_thread(self._read)
            if contents != self._contents or self.problem:
                self.last = await asyncio.to_thread(self._parsed, contents)
                self._contents = contents
                _log.info("policy read", digest=self.last.digest)
        except DocumentError as error:
            if str(error) != self.problem:
                _log.error("policy is broken: nothing new is granted", error=str(error))
            self.problem = str(error)
            return
        self.problem = ""

    def _read(self) -> dict[Path, str]:
        try:
            files = (self._policy_file, self._bindings_file, *self._template_files())
        except OSError as error:
            raise DocumentError(str(error.filename), None, f"cannot be read: {error.strerror}") from error
        return {path: document.read(path) for path in files}

    def _parsed(self, contents: dict[Path, str]) -> Policy:
        bindings = parse_bindings(contents[self._bindings_file], str(self._bindings_file))
        fixed = (self._policy_file, self._bindings_file)
        own: list[Document] = []
        for path, text in contents.items():
            if path in fixed:
                continue
            found = tuple(document.parse_all(text, source=str(path)))
            if not found:
                # It may be being written just now: that its template is gone would end all that was granted by it.
                raise DocumentError(
                    str(path), None, "there is no template in it: take the file away if it is to have none"
                )
            own += found
        templates = catalogue(own, bindings).values()
        return parse_policy(contents[self._policy_file], str(self._policy_file), templates, bindings)

    def _template_files(self) -> Iterator[Path]:
        for path in self._templates:
            if path.is_dir():
                yield from sorted(path.glob("*.yaml"))
            else:
                yield path
