"""Faults on request: how a client bears a server that is slow, refuses, forgets, or breaks off.

`rules` says what goes wrong for whom; `application` does it to the requests of an ASGI application; `conditions` is
what goes wrong whoever asks (the disk, the clock, the history); `file` reads all of it from a file.
"""

from aliquot.emulator.faults.application import FaultyApplication
from aliquot.emulator.faults.conditions import Conditions, SteppedClock
from aliquot.emulator.faults.file import FaultPlan
from aliquot.emulator.faults.rules import Cut, Error, Rule, WatchFault

__all__ = [
    "Conditions",
    "Cut",
    "Error",
    "FaultPlan",
    "FaultyApplication",
    "Rule",
    "SteppedClock",
    "WatchFault",
]
