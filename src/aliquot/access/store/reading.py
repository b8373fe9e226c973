"""What can be asked of the database."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, and_, func, or_, select

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.effects import MakeGrant, RemoveGrant
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import FINAL, IN_CLUSTER, Stage
from aliquot.access.core.limits import Usage
from aliquot.access.core.notices import Notice
from aliquot.access.core.people import Person
from aliquot.access.core.requests import Request
from aliquot.access.store import rows
from aliquot.access.store.audited import Audited
from aliquot.access.store.head import Head
from aliquot.access.store.log import SqlLog
from aliquot.access.store.tables import answers, credentials, lives, notices, outbox, users

_FINAL = [stage.value for stage in FINAL]
_IN_CLUSTER = [stage.value for stage in IN_CLUSTER]


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
    def log(self) -> SqlLog:
        return SqlLog(self._connection, self._head.log)

    @property
    def audited(self) -> Audited:
        return Audited(self._connection)

    def life(self, life_id: str) -> Life | None:
        body = self._connection.scalar(select(lives.c.body).where(lives.c.id == life_id))
        return rows.life(body) if body is not None else None

    def lives(self, wanted: Wanted, *, most: int) -> tuple[Life, ...]:
        """The latest first."""
        found = select(lives.c.body).where(*_narrowed(wanted)).order_by(lives.c.id.desc()).limit(most)
        return self._lives(found)

    def due(self, *, most: int) -> tuple[str, ...]:
        """Ids of those that time has changed something about."""
        found = select(lives.c.id).where(lives.c.due_s <= self.now_s).order_by(lives.c.due_s).limit(most)
        return tuple(self._connection.scalars(found))

    def open_ids(self) -> tuple[str, ...]:
        found = select(lives.c.id).where(lives.c.stage.not_in(_FINAL)).order_by(lives.c.id)
        return tuple(self._connection.scalars(found))

    def in_cluster(self, cluster: str = "") -> tuple[Life, ...]:
        """All of which something may be in a cluster; empty: in any."""
        found = select(lives.c.body).where(lives.c.stage.in_(_IN_CLUSTER))
        return self._lives(found.where(lives.c.cluster == cluster) if cluster else found)

    def usage(self, request: Request) -> Usage:
        """Beside the request itself."""
        person = and_(
            lives.c.issuer == request.requester.issuer, lives.c.subject == request.requester.subject
        )
        of_template = and_(
            lives.c.template == request.template, lives.c.id != request.id, lives.c.extends == ""
        )
        is_open, is_granted = lives.c.stage.not_in(_FINAL), lives.c.stage.in_(_IN_CLUSTER)
        counted = select(
            func.count().filter(person),
            func.count(),
            func.count().filter(and_(person, is_granted)),
            func.count().filter(is_granted),
        ).where(of_template, is_open)
        mine, all_, granted_mine, granted_all = self._connection.execute(counted).one()
        last = select(func.max(lives.c.over_s)).where(of_template, person, lives.c.began_s.is_not(None))
        review = select(func.min(lives.c.review_due_s)).where(person)
        extending = request.extends and self._connection.scalar(
            select(lives.c.id)
            .where(lives.c.extends == request.extends, lives.c.id != request.id, is_open)
            .limit(1)
        )
        return Usage(
            open_of_person=mine,
            open_of_all=all_,
            granted_of_person=granted_mine,
            granted_of_all=granted_all,
            last_end_s=self._connection.scalar(last),
            review_due_s=self._connection.scalar(review),
            extending=bool(extending),
        )

    def answer(self, caller: str, key: str) -> Answer | None:
        found = select(answers).where(
            answers.c.caller == caller, answers.c.key == key, answers.c.until_s > self.now_s
        )
        row = self._connection.execute(found).first()
        return Answer(row.digest, row.status, row.body) if row is not None else None

    def queued(self, kinds: Iterable[str], *, most: int, busy: Iterable[str] = ()) -> tuple[Queued, ...]:
        """Effects that are due, of each life the first; `busy`: of these lives none."""
        first = (
            select(func.min(outbox.c.number)).where(outbox.c.kind.in_(list(kinds))).group_by(outbox.c.life)
        )
        found = (
            select(outbox)
            .where(outbox.c.number.in_(first), outbox.c.due_s <= self.now_s, outbox.c.life.not_in(list(busy)))
            .order_by(outbox.c.due_s, outbox.c.number)
            .limit(most)
        )
        return tuple(_queued(row) for row in self._connection.execute(found))

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

    def user(self, subject: str) -> tuple[int, bytes] | None:
        """Version and body of a local one."""
        row = self._connection.execute(select(users).where(users.c.subject == subject)).first()
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
