"""Tells the database what was ended while it was gone: each act once, however often it is told, and whatever the database has become
meanwhile. Whoever did it might then, and it is done: nobody is asked again."""

from enum import StrEnum

from aliquot.access.broker import drafts
from aliquot.access.broker.around import Caller, Policies
from aliquot.access.broker.broker import Broker
from aliquot.access.broker.notices import Notices
from aliquot.access.core import killing
from aliquot.access.core.life.events import EndedInOutage
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import EndReason
from aliquot.access.core.life.surroundings import Surroundings
from aliquot.access.core.notices import Notice
from aliquot.access.core.people import Identity
from aliquot.access.journal.records import Act, Ended, Pulled, Revoked
from aliquot.access.store.transaction import Transaction

_USED = "journal"
_REMEMBERED_S = 366 * 24 * 3600.0
"""That an act has been told. The file that it is in is emptied at once."""


class Merged(StrEnum):
    """What came of it."""

    ENDED = "ended"
    OVER_ALREADY = "over_already"
    UNKNOWN = "unknown"
    """The database knows none of that id: it was restored from an older copy, or is another one."""
    TOLD_BEFORE = "told_before"


class Merging:
    def __init__(self, broker: Broker, policies: Policies, notices: Notices) -> None:
        self._broker = broker
        self._notices = notices
        self._policies = policies

    async def tell(self, act: Act, *, removed_at_s: float | None) -> Merged:
        """`removed_at_s`: when the clusters had nothing of it any more, as far as that is known. Raises Unreachable."""
        caller = Caller(identity=Identity(person=act.by), auth=act.auth, credential=act.credential)

        def work(tx: Transaction) -> tuple[Merged, Life | None]:
            if not tx.use_up(_USED, act.id, until_s=tx.now_s + _REMEMBERED_S):
                return Merged.TOLD_BEFORE, None
            if isinstance(act, Pulled):
                return self._pull(tx, act, caller, removed_at_s), None
            return self._end(tx, act, caller, removed_at_s)

        outcome, life = await self._broker.write(work)
        if life is not None:
            self._broker.notice(life)
        if isinstance(act, Pulled):
            await self._broker.look_at_all()
        elif outcome is Merged.UNKNOWN:
            await self._notices.tell([_unknown(act)])
        return outcome

    def _pull(self, tx: Transaction, act: Pulled, caller: Caller, removed_at_s: float | None) -> Merged:
        found = killing.pulled(tx.switch, act.by, act.why, pull_id=act.pull_id, now_s=tx.now_s)
        outcome = Merged.OVER_ALREADY if found is tx.switch else Merged.ENDED
        self._broker.switched(tx, "killswitch.pulled", found, caller)
        tx.append([drafts.of_journaled(act, caller, None, None, outcome, removed_at_s, tx.now_s)])
        return outcome

    def _end(
        self, tx: Transaction, act: Ended, caller: Caller, removed_at_s: float | None
    ) -> tuple[Merged, Life | None]:
        before = tx.life(act.grant)
        if before is None:
            tx.append([drafts.of_journaled(act, caller, None, None, Merged.UNKNOWN, removed_at_s, tx.now_s)])
            return Merged.UNKNOWN, None
        extends = before.request.extends
        around = Surroundings(
            policy=self._policies.to_end(),
            switch=tx.switch,
            parent=tx.life(extends) if extends else None,
        )
        reason = EndReason.REVOKED if isinstance(act, Revoked) else EndReason.RETURNED
        event = EndedInOutage(by=act.by, reason=reason, why=act.why)
        after, _ = self._broker.lead(tx, before, event, caller, around)
        # Its time may have come first, or somebody else.
        is_by_it = before.over_at_s is None and after.ended_by == act.by
        outcome = Merged.ENDED if is_by_it else Merged.OVER_ALREADY
        tx.append([drafts.of_journaled(act, caller, before, after, outcome, removed_at_s, tx.now_s)])
        return outcome, after


def _unknown(act: Ended) -> Notice:
    return Notice(
        source="journal",
        sort="unknown",
        about=act.grant,
        why=f"{act.by} ended it while the database was gone, and the database does not know it: was an older copy restored?",
        cluster=act.cluster,
        grant=act.grant,
    )
