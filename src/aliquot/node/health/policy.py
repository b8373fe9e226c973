"""Which checks count: the switches of NVIDIA's device plugin, with what they were meant to mean.

What is enabled by its number stays watched whatever is disabled. (NVIDIA's plugin looks at `all` first, and then
watches nothing.)
"""

from dataclasses import dataclass

DISABLE, ENABLE = "DP_DISABLE_HEALTHCHECKS", "DP_ENABLE_HEALTHCHECKS"

IGNORED_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Faults of the application, not of the GPU; NVIDIA's plugin ignores the same."""

_ALL, _XIDS, _MEMORY = "all", "xids", "memory"


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """A GPU that does not answer is never handed out: no switch is about that."""

    xids: bool = True
    """Whether those count that no other field names."""
    ignored: frozenset[int] = IGNORED_XIDS
    watched: frozenset[int] = frozenset()
    """Whatever the other fields say."""
    memory: bool = True
    """Whether memory errors count, and what the driver asks for."""

    def ignores(self, xid: int | None) -> bool:
        """None: what is no XID."""
        if xid is None:
            return False
        return xid not in self.watched and (not self.xids or xid in self.ignored)


@dataclass(frozen=True, slots=True)
class _Switch:
    words: frozenset[str]
    xids: frozenset[int]
    skipped: tuple[str, ...]


def parse(disabled: str, enabled: str) -> tuple[HealthPolicy, str]:
    """The policy, and a line that names what is no XID and no word; empty where all is."""
    off, on = _switch(disabled), _switch(enabled)
    policy = HealthPolicy(
        xids=_XIDS not in off.words or _XIDS in on.words,
        ignored=frozenset() if _XIDS in on.words else IGNORED_XIDS | off.xids,
        watched=on.xids,
        memory=_MEMORY not in off.words or _MEMORY in on.words,
    )
    skipped = [
        f"{name}: {', '.join(switch.skipped)}"
        for name, switch in ((DISABLE, off), (ENABLE, on))
        if switch.skipped
    ]
    known = f"an XID, {_ALL}, {_XIDS} or {_MEMORY}"
    return policy, f"{'; '.join(skipped)}: skipped, for it is not {known}" if skipped else ""


def _switch(text: str) -> _Switch:
    tokens = [token for part in text.lower().split(",") if (token := part.strip())]
    numbers = {token: int(token) for token in tokens if token.isascii() and token.isdecimal() and int(token)}
    words = {token for token in tokens if token in (_ALL, _XIDS, _MEMORY)}
    skipped = dict.fromkeys(token for token in tokens if token not in numbers and token not in words)
    if _ALL in words:
        words |= {_XIDS, _MEMORY}
    return _Switch(frozenset(words), frozenset(numbers.values()), tuple(skipped))
