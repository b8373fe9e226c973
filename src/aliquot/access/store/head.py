"""What there is one of, read at the start of a transaction and written at its end: how far the clock has been, the kill switch, where
the log ends."""

from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, update

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.policy import Held
from aliquot.access.core.spelling import to_ms
from aliquot.access.log.storage import Head as LogHead
from aliquot.access.log.tree import Tree
from aliquot.access.store.tables import state

_SEEN, _SWITCH, _LOG, _POLICY = "seen", "switch", "log", "policy"

_ALL = select(state)
_ADD = insert(state)
_SET = update(state).where(state.c.name == bindparam("of")).values(value=bindparam("value"))


class _Log(Struct, frozen=True):
    """Bytes are base64 in JSON."""

    size: int
    peaks: tuple[bytes, ...]
    last_leaf: bytes
    last_time_s: float


class Mark(NamedTuple):
    switch: KillSwitch
    log: LogHead
    policy: Held


class Head:
    def __init__(
        self, now_s: float, switch: KillSwitch, log: LogHead, policy: Held, stored: dict[str, str]
    ) -> None:
        self.now_s = now_s
        """Never earlier than that of any transaction before: a clock that is set back does not lengthen anything."""
        self.switch = switch
        self.log = log
        self.policy = policy
        """That the log was told of last."""
        self._stored = stored

    @classmethod
    def read(cls, connection: Connection, clock_s: float) -> "Head":
        stored: dict[str, str] = {row.name: row.value for row in connection.execute(_ALL)}
        switch = _decoded(stored, _SWITCH, KillSwitch) or KillSwitch()
        found = _decoded(stored, _LOG, _Log)
        log = (
            LogHead(Tree(found.size, found.peaks), found.last_leaf, found.last_time_s) if found else LogHead()
        )
        policy = _decoded(stored, _POLICY, Held) or Held()
        return cls(to_ms(max(clock_s, float(stored.get(_SEEN, "0")))), switch, log, policy, stored)

    def mark(self) -> Mark:
        return Mark(self.switch, self.log, self.policy)

    def back_to(self, mark: Mark) -> None:
        self.switch, self.log, self.policy = mark

    def write(self, connection: Connection) -> None:
        log = self.log
        now = {
            _SEEN: repr(self.now_s),
            _SWITCH: _encoded(self.switch),
            _LOG: _encoded(_Log(log.tree.size, log.tree.peaks, log.last_leaf, log.last_time_s)),
        }
        if self.policy.digest:
            now[_POLICY] = _encoded(self.policy)
        for name, value in now.items():
            if name not in self._stored:
                connection.execute(_ADD, {"name": name, "value": value})
            elif self._stored[name] != value:
                connection.execute(_SET, {"of": name, "value": value})


def _encoded(record: Struct) -> str:
    return msgspec.json.encode(record).decode()


def _decoded(stored: dict[str, str], name: str, kind: type[Any]) -> Any:
    return msgspec.json.decode(stored[name], type=kind) if name in stored else None
