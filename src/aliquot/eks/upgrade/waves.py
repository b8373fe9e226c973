"""A fleet goes in waves: the next begins once all of the one before are done, and none of them is held. What has begun goes on. Pure."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from aliquot.eks.upgrade.journal import DONE, Phase


class Progress(StrEnum):
    TO_COME = "to come"
    BEGUN = "begun"
    """In the middle, and nobody drives it: whoever did was stopped."""
    GOING = "going"
    HELD = "held"
    DONE = "done"


class Member(Struct, frozen=True, kw_only=True):
    cluster: str
    wave: str
    """The value of the tag that the waves go by; without it a cluster is of the last wave."""
    progress: Progress


def order(members: Sequence[Member]) -> list[str]:
    """The waves, first to last: numbers by their size, words by the alphabet after them, no value at the end."""
    return sorted({one.wave for one in members}, key=_place)


def _place(wave: str) -> tuple[int, int, str]:
    if not wave:
        return (2, 0, "")
    return (0, int(wave), wave) if wave.isascii() and wave.isdecimal() else (1, 0, wave)


def recorded(over: str, phases: Iterable[Phase]) -> Progress:
    """How far a member is by its run in the journal. `over`: how that ended; empty: it goes on."""
    if over:
        return Progress.DONE if over == DONE else Progress.HELD
    found = set(phases)
    if Phase.HELD in found:
        return Progress.HELD
    return Progress.TO_COME if found <= {Phase.TO_DO} else Progress.BEGUN


def next_clusters(members: Sequence[Member], at_once: int) -> list[str]:
    """Who may go now: those in the middle first, whoever else is held; to stand there does them no good. `at_once`: how many go at the same time."""
    going = sum(1 for one in members if one.progress is Progress.GOING)
    begun = sorted(
        (one for one in members if one.progress is Progress.BEGUN),
        key=lambda one: (_place(one.wave), one.cluster),
    )
    return [*(one.cluster for one in begun), *_new(members)][: max(0, at_once - going)]


def _new(members: Sequence[Member]) -> list[str]:
    for wave in order(members):
        of_wave = [one for one in members if one.wave == wave]
        if all(one.progress is Progress.DONE for one in of_wave):
            continue
        if any(one.progress is Progress.HELD for one in of_wave):
            return []
        return sorted(one.cluster for one in of_wave if one.progress is Progress.TO_COME)
    return []


def waits_for(members: Sequence[Member]) -> str:
    """Why nobody goes on, in one line; empty: all are done, or somebody goes on."""
    if any(one.progress is Progress.GOING for one in members):
        return ""
    held = sorted(one.cluster for one in members if one.progress is Progress.HELD)
    if not held:
        return ""
    return f"held: {', '.join(held)}; no other cluster begins until these go on, or are taken out"
