"""Faults from a file, taken up anew whenever it changes.

seed: 7
rules:
- {verbs: [list], resources: [pods], delaySeconds: 0.1, jitterSeconds: 2}
- {verbs: [create], error: {status: 429, retryAfterSeconds: 1}, times: 3}
- {users: ["alice"], cut: answer, probability: 0.1}
- {verbs: [watch], watch: {stallAfter: 10}}
diskFull: true
clockOffsetSeconds: -3600
forgetHistory: true          # once, when the file is taken up
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aliquot import document
from aliquot.document import DocumentError
from aliquot.emulator.faults.application import FaultyApplication
from aliquot.emulator.faults.conditions import Conditions
from aliquot.emulator.faults.rules import VERBS, Rule

LOOK_S = 0.5


class FaultPlan(Struct, frozen=True, kw_only=True, rename="camel"):
    seed: int = 0
    rules: tuple[Rule, ...] = ()
    disk_full: bool = False
    clock_offset_seconds: float = 0.0
    forget_history: bool = False

    def take_effect(self, app: FaultyApplication, conditions: Conditions) -> None:
        """What it does not name is as it should be."""
        app.set_rules(*self.rules, seed=self.seed)
        conditions.set_clock(self.clock_offset_seconds)
        if self.disk_full:
            conditions.fill_disk()
        else:
            conditions.free_disk()
        if self.forget_history:
            conditions.forget_history()


def load(path: Path) -> FaultPlan:
    """Raises DocumentError."""
    return parse(document.read(path), source=str(path))


def parse(text: str, *, source: str) -> FaultPlan:
    """Raises DocumentError."""
    documents = document.parse_all(text, source=source)
    if not documents:
        return FaultPlan()
    parsed = document.parse(text, source=source)
    plan = parsed.into(FaultPlan)
    for index, rule in enumerate(plan.rules):
        here: tuple[str | int, ...] = ("rules", index)
        for number, verb in enumerate(rule.verbs):
            if "*" not in verb and verb not in VERBS:
                raise parsed.error(
                    (*here, "verbs", number),
                    f"'{verb}' is no verb{document.nearest(verb, VERBS) or '; known: ' + ', '.join(VERBS)}",
                )
        if rule.does_nothing:
            raise parsed.error(here, "this rule does nothing: give it delaySeconds, error, cut or watch")
        if rule.error is not None and rule.cut is not None:
            raise parsed.error(here, "either 'error' or 'cut': an answer that is cut off is not read")
    return plan


async def follow(path: Path, take: Callable[[FaultPlan], None], say: Callable[[str], None]) -> None:
    """Until cancelled: each change of the file is taken up. One that cannot be read changes nothing, and is told."""
    seen = _mark(path)
    while True:
        await asyncio.sleep(LOOK_S)
        found = _mark(path)
        if found == seen:
            continue
        seen = found
        try:
            plan = load(path)
        except DocumentError as error:
            say(f"faults stay as they were: {error}")
            continue
        take(plan)
        say(f"faults of {path} taken up")


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Differs whenever the file does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
