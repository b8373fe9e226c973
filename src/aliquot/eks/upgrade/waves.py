"""A fleet goes in waves: the next begins once all of the one before are done, and none of them is held. Pure."""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct


class Progress(StrEnum):
    TO_COME = "to come"
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


def next_clusters(members: Sequence[Member], at_once: int) -> list[str]:
    """Who may begin now. `at_once`: how many go at the same time."""
    for wave in order(members):
        of_wave = [one for one in members if one.wave == wave]
        if all(one.progress is Progress.DONE for one in of_wave):
            continue
        if any(one.progress is Progress.HELD for one in of_wave):
            return []
        going = sum(1 for one in of_wave if one.progress is Progress.GOING)
        to_come = sorted(one.cluster for one in of_wave if one.progress is Progress.TO_COME)
        return to_come[: max(0, at_once - going)]
    return []


def waits_for(members: Sequence[Member]) -> str:
    """Why nobody goes on, in one line; empty: all are done, or somebody goes on."""
    if any(one.progress is Progress.GOING for one in members):
        return ""
    held = sorted(one.cluster for one in members if one.progress is Progress.HELD)
    if not held:
        return ""
    return f"held: {', '.join(held)}; no other cluster begins until these go on, or are taken out"
