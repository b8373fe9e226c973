"""The installation as Prometheus sees it. What is counted from database and log is the same from each server: take the `max`."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import structlog

from aliquot.access.core.life.effects import MakeGrant, RemoveGrant
from aliquot.access.serving.tally import Tally
from aliquot.access.store.reading import Reading
from aliquot.access.store.standing import Standing
from aliquot.access.store.store import Store
from aliquot.metrics.exposition import Family, Kind, Sample, labels, render
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

PREFIX = "aliquot_access_"
_LOOK_EVERY_S = 30.0
_ANSWER_WITHIN_S = 5.0
_IN_CLUSTER = (MakeGrant.__name__, RemoveGrant.__name__)


class Metrics:
    """`reasons`: what is not as it should be, by name; `journal`: how many acts the database has not been told of, where there
    is a journal."""

    def __init__(
        self,
        store: Store,
        reasons: Callable[[], Mapping[str, str]],
        journal: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._reasons = reasons
        self._journal = journal
        self._tally = Tally()
        self._standing: Standing | None = None

    async def run(self) -> None:
        """Until cancelled: what happens is counted from the start on, whether anybody scrapes or not."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def text(self) -> str:
        await self.look()
        return render(
            families(
                self._standing,
                self._tally,
                reasons=self._reasons(),
                journal=self._journal() if self._journal is not None else None,
            )
        )

    async def look(self) -> None:
        """At the database; what cannot be read now is as it was."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                while await self._store.read(self._tally.follow):
                    pass
                self._standing = await self._store.read(Reading.standing)
        except (Unreachable, TimeoutError) as error:
            _log.warning("not counted", error=str(error))


def families(
    now: Standing | None, tally: Tally, *, reasons: Mapping[str, str], journal: int | None
) -> Iterator[Family]:
    """`now` None: it could not be read yet."""
    yield _family(
        "ready",
        Kind.GAUGE,
        "1: this server has what it needs of it.",
        {labels(("check", name)): float(not why) for name, why in sorted(reasons.items())},
    )
    if journal is not None:
        yield _family(
            "journal_waiting",
            Kind.GAUGE,
            "What this server ended that the database does not know of.",
            {"": journal},
        )
    if now is not None:
        yield from _standing(now)
    yield from _tallied(tally)


def _standing(now: Standing) -> Iterator[Family]:
    yield _family(
        "requests",
        Kind.GAUGE,
        "Requests that are not over.",
        {labels(("stage", stage)): count for stage, count in sorted(now.requests.items())},
    )
    yield _family(
        "grants_active",
        Kind.GAUGE,
        "Grants that let somebody in.",
        {labels(("template", one.template), ("cluster", one.cluster)): one.count for one in now.active},
    )
    waiting = {one.kind: one for one in now.waiting}
    kinds = sorted({*waiting, *_IN_CLUSTER})
    yield _family(
        "effects_waiting",
        Kind.GAUGE,
        "What was decided and is not carried out yet.",
        {labels(("kind", kind)): waiting[kind].count if kind in waiting else 0 for kind in kinds},
    )
    yield _family(
        "effects_failing",
        Kind.GAUGE,
        "Of these, what has failed before.",
        {labels(("kind", kind)): waiting[kind].failing if kind in waiting else 0 for kind in kinds},
    )
    yield _family(
        "effects_oldest_age_seconds",
        Kind.GAUGE,
        "How long the oldest of them has waited.",
        {
            labels(("kind", kind)): max(0.0, now.now_s - waiting[kind].oldest_s) if kind in waiting else 0.0
            for kind in kinds
        },
    )
    yield _family(
        "reviews",
        Kind.GAUGE,
        "Reviews that nobody has given yet.",
        {
            labels(("state", "due")): now.reviews_due - now.reviews_overdue,
            labels(("state", "overdue")): now.reviews_overdue,
        },
    )
    yield _family("kill_switch", Kind.GAUGE, "1: it is pulled.", {"": float(now.is_switch_pulled)})
    yield _family("log_entries", Kind.GAUGE, "Entries of the log.", {"": now.log.size})
    yield _family(
        "log_unsigned_entries",
        Kind.GAUGE,
        "Entries after the last checkpoint.",
        {"": now.log.size - now.log.signed_size},
    )
    yield _family(
        "log_checkpoint_timestamp_seconds",
        Kind.GAUGE,
        "When the log was signed last.",
        {"": now.log.signed_s},
    )
    yield _family(
        "audit_log_delivered_timestamp_seconds",
        Kind.GAUGE,
        "When something last came of a cluster's audit log.",
        {labels(("cluster", name)): at_s for name, at_s in sorted(now.audit_logs.items())},
    )
    yield _family(
        "witness_current_timestamp_seconds",
        Kind.GAUGE,
        "When a witness had last signed all checkpoints.",
        {labels(("witness", name)): one.current_s for name, one in sorted(now.witnesses.items())},
    )
    yield _family(
        "witness_failing",
        Kind.GAUGE,
        "1: it did not sign when it was asked last.",
        {labels(("witness", name)): float(bool(one.problem)) for name, one in sorted(now.witnesses.items())},
    )


def _tallied(tally: Tally) -> Iterator[Family]:
    yield _family(
        "events_total",
        Kind.COUNTER,
        "Entries of the log since this server started, by what happened.",
        {labels(("action", action)): count for action, count in sorted(tally.actions.items())},
    )
    yield _family(
        "approvals_total",
        Kind.COUNTER,
        "Approvals since this server started.",
        {"": tally.approvals},
    )
    yield _family(
        "refusals_total",
        Kind.COUNTER,
        "What was refused since this server started.",
        {
            labels(("what", what), ("ground", ground)): count
            for (what, ground), count in sorted(tally.refusals.items())
        },
    )
    yield _family(
        "findings_total",
        Kind.COUNTER,
        "What was found since this server started.",
        {
            labels(("source", source), ("sort", sort), ("cluster", cluster)): count
            for (source, sort, cluster), count in sorted(tally.findings.items())
        },
    )
    yield tally.activation.family(
        f"{PREFIX}activation_seconds", "From the beginning of a grant until its cluster had it."
    )
    yield tally.revocation.family(
        f"{PREFIX}revocation_seconds", "From the end of a grant until nothing of it was left in its cluster."
    )


def _family(name: str, kind: Kind, text: str, samples: Mapping[str, float]) -> Family:
    return Family(f"{PREFIX}{name}", kind, text, [Sample(label, value) for label, value in samples.items()])
