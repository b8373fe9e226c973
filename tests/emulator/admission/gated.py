"""A mutator and a validator that hold an operation up until the test lets it go."""

import asyncio
from collections.abc import Awaitable, Callable

from aliquot.emulator.admission import Admitted
from aliquot.emulator.objects import Json, with_metadata


class Gated:
    """Both of them. `entered` is set when one waits; `let_go` opens the way, for one operation or for good."""

    def __init__(self, concerns: Callable[[Admitted], bool]) -> None:
        self.seen: list[tuple[Admitted, Json | None]] = []
        self.entered = asyncio.Event()
        self._concerns = concerns
        self._ways: list[asyncio.Event] = []
        self._open = False

    def let_go(self) -> None:
        """All that wait."""
        self.entered.clear()
        ways, self._ways = self._ways, []
        for way in ways:
            way.set()

    def open(self) -> None:
        """For good."""
        self._open = True
        self.let_go()

    def check(self, asked: Admitted, obj: Json | None) -> Awaitable[None] | None:
        if not self._concerns(asked):
            return None
        self.seen.append((asked, obj))
        return self._wait()

    async def _wait(self) -> None:
        if self._open:
            return
        way = asyncio.Event()
        self._ways.append(way)
        self.entered.set()
        await way.wait()


class Labels:
    """A mutator that sets a label, and says in which rounds it was asked."""

    def __init__(self, key: str, value: Callable[[Json], str]) -> None:
        self.rounds: list[bool] = []
        self._key = key
        self._value = value

    def begin(self, asked: Admitted) -> "Labels | None":
        return self if asked.served.storage == "configmaps" else None

    async def run(self, obj: Json | None, *, again: bool) -> Json | None:
        self.rounds.append(again)
        if obj is None:
            return None
        labels = obj["metadata"].get("labels") or {}
        wanted = self._value(labels)
        return (
            obj
            if labels.get(self._key) == wanted
            else with_metadata(obj, labels={**labels, self._key: wanted})
        )
