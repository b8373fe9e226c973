"""What can be asked of the database."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.effects import MakeGrant, RemoveGrant
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import FINAL, IN_CLUSTER, Stage
from aliquot.access.core.limits import Usage
from aliquot.access.core.notices import Notice
from aliquot.access.core.people import Person
from aliquot.access.core.policy import Held
from aliquot.access.core.requests import Request
from aliquot.access.store import rows
from aliquot.access.store.audited import Audited
from aliquot.access.store.head import Head
from aliquot.access.store.log import SqlLog
from aliquot.access.store.standing import LogStanding, Standing, Witnessed, standing
from aliquot.access.store.tables import answers, credentials, lives, notices, outbox, users, witnesses

_FINAL = [stage.value for stage in FINAL]
_IN_CLUSTER = [stage.value for stage in IN_CLUSTER]
_SOME = 500


def _counted() -> Select[Any]:
    """The fields of Usage."""
    of, other = lives.c, lives.alias("other").c
    mine = and_(of.issuer == bindparam("issuer"), of.subject == bindparam("subject"))
    is_granted = of.stage.in_(_written(IN_CLUSTER))
    others_mine = (other.issuer == bindparam("issuer"), other.subject == bindparam("subject"))
    of_template = and_(
        other.template == bindparam("template"), other.id != bindparam("id"), other.extends == ""
    )
    ended_s = select(func.max(other.over_s)).where(*others_mine, of_template, other.began_s.is_not(None))
    review_due_s = select(func.min(other.review_due_s)).where(*others_mine, other.id != bindparam("id"))
    extending = select(other.id).where(
        bindparam("extends", type_=Text) != "",
        other.extends == bindparam("extends"),
        other.id != bindparam("id"),
        other.stage.in_(_written(_OPEN)),
    )
    return select(
        func.count().filter(mine).label("open_of_person"),
        func.count().label("open_of_all"),
        func.count().filter(mine, is_granted).label("granted_of_person"),
        func.count().filter(is_granted).label("granted_of_all"),
        ended_s.label("last_end_s"),
        review_due_s.label("review_due_s"),
        extending.exists().label("extending"),
    ).where(
        of.template == bindparam("template"),
        of.stage.in_(_written(_OPEN)),
        of.id != bindparam("id"),
        # Written so that no database thinks of looking through all that extend nothing.
        func.length(of.extends) == 0,
    )


def _written(stages: Iterable[Stage]) -> tuple[ColumnElement[str], ...]:
    """Into the statement itself: by a list that is bound it would be put together anew each time."""
    return tuple(literal_column(f"'{stage.value}'") for stage in sorted(stages))


# Put together once: that takes longer than to carry them out.
_OPEN = frozenset(Stage) - FINAL
_LIFE = select(lives.c.body).where(lives.c.id == bindparam("id"))
COUNTED = _counted()
_DUE = (
    select(lives.c.id)
    .where(lives.c.due_s <= bindparam("now_s"))
    .order_by(lives.c.due_s)
    .limit(bindparam("most"))
)
_ANSWER = select(answers).where(
    answers.c.caller == bindparam("caller"),
    answers.c.key == bindparam("key"),
    answers.c.until_s > bindparam("now_s"),
)
_USER = select(users).where(users.c.subject == bindparam("subject"))


@cache
def _first_queued(kinds: tuple[str, ...]) -> Select[Any]:
    """As many rows are looked at as are wanted, however many wait."""
    earlier = outbox.alias("earlier").c
    of_kinds: list[ColumnElement[str]] = [literal_column(f"'{kind}'") for kind in kinds]
    is_first = ~exists().where(
        earlier.life == outbox.c.life, earlier.number < outbox.c.number, earlier.kind.in_(of_kinds)
    )
    is_free = or_(outbox.c.owner.in_(["", bindparam("owner")]), outbox.c.until_s <= bindparam("now_s"))
    return (
        select(outbox)
        .where(
            outbox.c.due_s <= bindparam("now_s"),
            outbox.c.kind.in_(of_kinds),
            is_free,
            outbox.c.life.not_in(bindparam("busy", expanding=True)),
            is_first,
        )
        .order_by(outbox.c.due_s, outbox.c.number)
        .limit(bindparam("most"))
    )


class Wanted(Struct, frozen=True, kw_only=True):
    """Which requests. What is not set does not narrow."""

    stages: tuple[Stage, ...] = ()
    holder: Person | None = None
    template: str = ""
    cluster: str = ""
    namespace: str | None = None
    review_open: bool = False
    before: str = ""
    """An id: those that were asked for before it."""


class Answer(Struct, frozen=True):
    digest: str
    status: int
    body: bytes


class Queued(Struct, frozen=True):
    """An effect that is to be carried out."""

    number: int
    life: str
    kind: str
    body: bytes
    due_s: float
    attempts: int
    problem: str


class Noted(Struct, frozen=True):
    """A notice that was told."""

    notice: Notice
    seen_s: float
    told_s: float


class Given(Struct, frozen=True):
    """A credential that was given."""

    id: str
    grant: str
    issued_s: float
    expires_s: float


class Reading:
    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head

    @property
    def now_s(self) -> float:
        """Never earlier than that of any transaction before."""
        return self._head.now_s

    @property
    def switch(self) -> KillSwitch:
        return self._head.switch

    @property
    def policy(self) -> Held:
        """That the log was told of last."""
        return self._head.policy

    @property
    def log(self) -> SqlLog:
        return SqlLog(self._connection, self._head.log)

    @property
    def audited(self) -> Audited:
        return Audited(self._connection)

    def life(self, life_id: str) -> Life | None:
        body = self._connection.scalar(_LIFE, {"id": life_id})
        return rows.life(body) if body is not None else None

    def lives(self, wanted: Wanted, *, most: int) -> tuple[Life, ...]:
        """The latest first."""
        found = select(lives.c.body).where(*_narrowed(wanted)).order_by(lives.c.id.desc()).limit(most)
        return self._lives(found)

    def asked_before(self, moment_s: float) -> Iterator[tuple[Life, ...]]:
        """All of them, the oldest first, some at once."""
        last = ""
        while True:
            found = select(lives.c.body).where(lives.c.asked_s < moment_s, lives.c.id > last)
            some = self._lives(found.order_by(lives.c.id).limit(_SOME))
            if not some:
                return
            yield some
            last = some[-1].id

    def due(self, *, most: int) -> tuple[str, ...]:
        """Ids of those that time has changed something about."""
        return tuple(self._connection.scalars(_DUE, {"now_s": self.now_s, "most": most}))

    def open_ids(self) -> tuple[str, ...]:
        found = select(lives.c.id).where(lives.c.stage.not_in(_FINAL)).order_by(lives.c.id)
        return tuple(self._connection.scalars(found))

    def in_cluster(self, cluster: str = "") -> tuple[Life, ...]:
        """All of which something may be in a cluster; empty: in any."""
        found = select(lives.c.body).where(lives.c.stage.in_(_IN_CLUSTER))
        return self._lives(found.where(lives.c.cluster == cluster) if cluster else found)

    def usage(self, request: Request) -> Usage:
        """Beside the request itself."""
        asked = {
            "id": request.id,
            "template": request.template,
            "issuer": request.requester.issuer,
            "subject": request.requester.subject,
            "extends": request.extends,
        }
        return Usage(**self._connection.execute(COUNTED, asked).one()._mapping)

    def answer(self, caller: str, key: str) -> Answer | None:
        asked = {"caller": caller, "key": key, "now_s": self.now_s}
        row = self._connection.execute(_ANSWER, asked).first()
        return Answer(row.digest, row.status, row.body) if row is not None else None

    def queued(
        self, kinds: Iterable[str], *, most: int, busy: Iterable[str] = (), owner: str = ""
    ) -> tuple[Queued, ...]:
        """Effects that are due, of each life the first, and that no other server than `owner` is carrying out; `busy`: of these
        lives none."""
        asked = {"now_s": self.now_s, "owner": owner, "busy": list(busy), "most": most}
        found = self._connection.execute(_first_queued(tuple(kinds)), asked)
        return tuple(_queued(row) for row in found)

    def notice(self, key: str) -> Noted | None:
        row = self._connection.execute(select(notices).where(notices.c.key == key)).first()
        return _noted(row) if row is not None else None

    def notices(self, *, most: int) -> tuple[Noted, ...]:
        """The latest first."""
        found = select(notices).order_by(notices.c.told_s.desc(), notices.c.key).limit(most)
        return tuple(_noted(row) for row in self._connection.execute(found))

    def told_lately(self, source: str, cluster: str) -> int:
        """How many notices of theirs were told within an hour."""
        found = (
            select(func.count())
            .select_from(notices)
            .where(
                notices.c.source == source,
                notices.c.cluster == cluster,
                notices.c.told_s > self.now_s - 3600,
            )
        )
        return self._connection.scalar(found) or 0

    def in_outbox(self, grants: Iterable[str]) -> frozenset[str]:
        """Those of them of which something is still to be made or removed."""
        in_cluster = (MakeGrant.__name__, RemoveGrant.__name__)
        found = select(outbox.c.life).where(outbox.c.life.in_(list(grants)), outbox.c.kind.in_(in_cluster))
        return frozenset(self._connection.scalars(found))

    def witnessed(self) -> dict[str, Witnessed]:
        """By its name, of each witness that was ever asked."""
        found = self._connection.execute(select(witnesses))
        return {row.name: Witnessed(row.size, row.current_s, row.problem) for row in found}

    def standing(self) -> Standing:
        last = self.log.last_checkpoint()
        return standing(
            self._connection,
            self.now_s,
            log=LogStanding(
                self.log.head().tree.size,
                last.size if last is not None else 0,
                last.at_s if last is not None else 0.0,
            ),
            witnesses=self.witnessed(),
            is_switch_pulled=self.switch.is_pulled,
        )

    def user(self, subject: str) -> tuple[int, bytes] | None:
        """Version and body of a local one."""
        row = self._connection.execute(_USER, {"subject": subject}).first()
        return (row.version, row.body) if row is not None else None

    def users(self) -> tuple[bytes, ...]:
        return tuple(self._connection.scalars(select(users.c.body).order_by(users.c.subject)))

    def credentials(self, grant: str) -> tuple[Given, ...]:
        found = select(credentials).where(credentials.c.grant == grant).order_by(credentials.c.issued_s)
        return tuple(_given(row) for row in self._connection.execute(found))

    def lives_of(self, ids: Iterable[str]) -> dict[str, Life]:
        """Those of them that there are, by id."""
        found = select(lives.c.body).where(lives.c.id.in_(list(ids)))
        return {life.id: life for life in self._lives(found)}

    def let_in_since(self, cluster: str, after_s: float) -> tuple[Life, ...]:
        """All by which somebody may have been let in there after that."""
        may_be = or_(lives.c.stage.in_(_IN_CLUSTER), lives.c.over_s > after_s)
        where = (lives.c.cluster == cluster, lives.c.began_s.is_not(None), may_be)
        return self._lives(select(lives.c.body).where(*where))

    def given(self, ids: Iterable[str]) -> dict[str, Given]:
        """Those of these credentials that were given out, by id."""
        found = select(credentials).where(credentials.c.id.in_(list(ids)))
        return {row.id: _given(row) for row in self._connection.execute(found)}

    def _lives(self, found: Select[Any]) -> tuple[Life, ...]:
        return tuple(rows.life(body) for body in self._connection.scalars(found))


def _narrowed(wanted: Wanted) -> Sequence[Any]:
    found: list[Any] = []
    if wanted.stages:
        found.append(lives.c.stage.in_([stage.value for stage in wanted.stages]))
    if wanted.holder is not None:
        found += [lives.c.issuer == wanted.holder.issuer, lives.c.subject == wanted.holder.subject]
    if wanted.template:
        found.append(lives.c.template == wanted.template)
    if wanted.cluster:
        found.append(lives.c.cluster == wanted.cluster)
    if wanted.namespace is not None:
        found.append(lives.c.namespace == wanted.namespace)
    if wanted.review_open:
        found.append(lives.c.review_due_s.is_not(None))
    if wanted.before:
        found.append(lives.c.id < wanted.before)
    return found


def _queued(row: Any) -> Queued:
    return Queued(row.number, row.life, row.kind, row.body, row.due_s, row.attempts, row.problem)


def _noted(row: Any) -> Noted:
    return Noted(msgspec.json.decode(row.body, type=Notice), row.seen_s, row.told_s)


def _given(row: Any) -> Given:
    return Given(row.id, row.grant, row.issued_s, row.expires_s)
