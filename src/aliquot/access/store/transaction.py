"""What can be written. All of it is there at the end of the transaction, or nothing."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.effects import Effect
from aliquot.access.core.life.life import Life
from aliquot.access.core.notices import SEEN_EVERY_S, Notice
from aliquot.access.core.policy import Held
from aliquot.access.log.entries import Draft
from aliquot.access.log.storage import Head as LogHead
from aliquot.access.log.storage import seal
from aliquot.access.store import rows
from aliquot.access.store.head import Head
from aliquot.access.store.log import SqlLog
from aliquot.access.store.reading import Answer, Given, Queued, Reading
from aliquot.access.store.standing import Witnessed
from aliquot.access.store.tables import (
    answers,
    credentials,
    leases,
    lives,
    notices,
    outbox,
    seen,
    users,
    witnesses,
)

NOTICES_KEPT_S = 30 * 24 * 3600.0

# Put together once: that takes longer than to carry them out.
_ADD_LIFE, _ADD_ANSWER, _ADD_SEEN, _ADD_USER = insert(lives), insert(answers), insert(seen), insert(users)
_QUEUE, _GIVE = insert(outbox), insert(credentials)
_REPLACE_LIFE = (
    update(lives)
    .where(lives.c.id == bindparam("of_id"), lives.c.version == bindparam("of_version"))
    .values({column.name: bindparam(column.name) for column in lives.c})
)
_REPLACE_USER = (
    update(users)
    .where(users.c.subject == bindparam("of_subject"), users.c.version == bindparam("of_version"))
    .values(version=bindparam("version"), body=bindparam("body"))
)
_DONE = delete(outbox).where(outbox.c.number == bindparam("number"))
_FORGET_ANSWERS = delete(answers).where(answers.c.until_s <= bindparam("now_s"))
_FORGET_SEEN = delete(seen).where(seen.c.until_s <= bindparam("now_s"))
_SEEN = select(seen.c.nonce).where(seen.c.what == bindparam("what"), seen.c.nonce == bindparam("nonce"))


class Raced(Exception):
    """Somebody else has changed it in between: read it again, and decide again."""


class Transaction(Reading):
    def __init__(self, connection: Connection, head: Head, salt: Callable[[int], bytes]) -> None:
        super().__init__(connection, head)
        self._salt = salt

    @property
    def log(self) -> SqlLog:
        return SqlLog(self._connection, self._head.log, self._log_moved)

    def _log_moved(self, head: LogHead) -> None:
        self._head.log = head

    def append(self, drafts: Sequence[Draft]) -> None:
        """To the log. Raises Unloggable."""
        if drafts:
            self.log.append(seal(self._head.log, drafts, self._salt))

    def add(self, life: Life) -> None:
        """Raises Raced: one of its id is there."""
        try:
            self._connection.execute(_ADD_LIFE, rows.row(life))
        except IntegrityError as error:
            raise Raced(life.id) from error

    def replace(self, before: Life, after: Life) -> None:
        """Raises Raced."""
        of = {"of_id": before.id, "of_version": before.version}
        if not self._connection.execute(_REPLACE_LIFE, of | rows.row(after)).rowcount:
            raise Raced(before.id)

    def set_switch(self, switch: KillSwitch) -> None:
        self._head.switch = switch

    def set_policy(self, policy: Held) -> None:
        self._head.policy = policy

    def queue(self, life: str, effects: Iterable[Effect], *, due_s: float | None = None) -> None:
        """To be carried out once this is committed, and not before `due_s`."""
        queued = [
            {
                "life": life,
                "kind": type(effect).__name__,
                "body": msgspec.json.encode(effect),
                "due_s": self.now_s if due_s is None else due_s,
                "queued_s": self.now_s,
                "attempts": 0,
                "problem": "",
            }
            for effect in effects
        ]
        if queued:
            self._connection.execute(_QUEUE, queued)

    def claim(
        self, kinds: Iterable[str], *, most: int, busy: Iterable[str], owner: str, for_s: float
    ) -> tuple[Queued, ...]:
        """What is queued, and from now on this server's to carry out. Writers come one after the other, so no other gets the same."""
        found = self.queued(kinds, most=most, busy=busy, owner=owner)
        if numbers := [one.number for one in found]:
            values = {"owner": owner, "until_s": self.now_s + for_s}
            self._connection.execute(update(outbox).where(outbox.c.number.in_(numbers)).values(values))
        return found

    def hold(self, numbers: Iterable[int], *, owner: str, for_s: float) -> None:
        """For longer; those that another has taken over meanwhile stay theirs."""
        mine = outbox.c.owner == owner
        values = {"until_s": self.now_s + for_s}
        self._connection.execute(
            update(outbox).where(outbox.c.number.in_(list(numbers)), mine).values(values)
        )

    def let_go(self, owner: str) -> None:
        """Of all that it has claimed."""
        self._connection.execute(update(outbox).where(outbox.c.owner == owner).values(owner="", until_s=0))
        self._connection.execute(delete(leases).where(leases.c.owner == owner))

    def take_over(self, owner: str) -> None:
        """Whatever others have claimed: they are dead."""
        self._connection.execute(update(outbox).where(outbox.c.owner != owner).values(owner="", until_s=0))
        self._connection.execute(delete(leases).where(leases.c.owner != owner))

    def lease(self, name: str, owner: str, *, for_s: float) -> bool:
        """False: another has it."""
        values = {"owner": owner, "until_s": self.now_s + for_s}
        there = self._connection.execute(select(leases).where(leases.c.name == name)).first()
        if there is None:
            self._connection.execute(insert(leases).values(name=name, **values))
        elif there.owner != owner and there.until_s > self.now_s:
            return False
        else:
            self._connection.execute(update(leases).where(leases.c.name == name).values(values))
        return True

    def done(self, queued: Queued) -> None:
        self._connection.execute(_DONE, {"number": queued.number})

    def again(self, queued: Queued, *, due_s: float, problem: str, owner: str) -> None:
        """Later. Nothing, where another server has taken it over meanwhile."""
        self._connection.execute(
            update(outbox)
            .where(outbox.c.number == queued.number, outbox.c.owner == owner)
            .values(due_s=due_s, attempts=queued.attempts + 1, problem=problem, owner="", until_s=0)
        )

    def witness(self, name: str, now: Witnessed) -> None:
        values = {"size": now.size, "current_s": now.current_s, "problem": now.problem}
        if not self._connection.execute(
            update(witnesses).where(witnesses.c.name == name).values(values)
        ).rowcount:
            self._connection.execute(insert(witnesses).values(name=name, **values))

    def saw(self, notice: Notice, told_s: float) -> None:
        """That it is there now, and when it was told."""
        key = notices.c.key == notice.key
        there = self._connection.execute(select(notices.c.seen_s, notices.c.told_s).where(key)).first()
        if there is None:
            self._connection.execute(
                insert(notices).values(
                    key=notice.key,
                    source=notice.source,
                    sort=notice.sort,
                    cluster=notice.cluster,
                    seen_s=self.now_s,
                    told_s=told_s,
                    body=msgspec.json.encode(notice),
                )
            )
            self._connection.execute(delete(notices).where(notices.c.seen_s < self.now_s - NOTICES_KEPT_S))
        elif told_s != there.told_s or self.now_s - there.seen_s >= SEEN_EVERY_S:
            values = {"seen_s": self.now_s, "told_s": told_s, "body": msgspec.json.encode(notice)}
            self._connection.execute(update(notices).where(key).values(values))

    def remember(self, caller: str, key: str, answer: Answer, *, until_s: float) -> None:
        self._connection.execute(_FORGET_ANSWERS, {"now_s": self.now_s})
        values = {"digest": answer.digest, "status": answer.status, "body": answer.body, "until_s": until_s}
        self._connection.execute(_ADD_ANSWER, {"caller": caller, "key": key, **values})

    def use_up(self, what: str, nonce: str, *, until_s: float) -> bool:
        """False: it has been used before. It is remembered until then, after which it must not be taken any more anyway."""
        self._connection.execute(_FORGET_SEEN, {"now_s": self.now_s})
        if self._connection.scalar(_SEEN, {"what": what, "nonce": nonce}):
            return False
        self._connection.execute(_ADD_SEEN, {"what": what, "nonce": nonce, "until_s": until_s})
        return True

    def put_user(self, subject: str, body: bytes, *, version: int) -> None:
        """`version`: as it was read; 0: there is none yet. Raises Raced."""
        if not version:
            if self.user(subject) is not None:
                raise Raced(subject)
            self._connection.execute(_ADD_USER, {"subject": subject, "version": 1, "body": body})
            return
        changed = {"of_subject": subject, "of_version": version, "version": version + 1, "body": body}
        if not self._connection.execute(_REPLACE_USER, changed).rowcount:
            raise Raced(subject)

    def give(self, credential: Given) -> None:
        self._connection.execute(
            _GIVE,
            {
                "id": credential.id,
                "grant": credential.grant,
                "issued_s": credential.issued_s,
                "expires_s": credential.expires_s,
            },
        )
