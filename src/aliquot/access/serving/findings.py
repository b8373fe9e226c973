"""What the agent of a cluster finds, as security is told it: without what is only just being made or taken away."""

from collections.abc import Mapping, Sequence

import structlog

from aliquot.access.broker.notices import Notices
from aliquot.access.cluster.findings import Finding, Sort
from aliquot.access.core.life.life import Life
from aliquot.access.core.notices import Notice
from aliquot.access.store.reading import Reading
from aliquot.access.store.store import Store
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)

SETTLING_S = 60.0
"""So long after a request changed, its objects may be others than those that were listed."""


def notices(found: Sequence[Finding], cluster: str, moving: Mapping[str, bool]) -> list[Notice]:
    """`moving`: of grants that are known, whether something of them is under way. A bypass is told whatever is under way."""
    return [
        _notice(one, cluster) for one in found if one.sort is Sort.BYPASS or not moving.get(one.grant, False)
    ]


def _notice(one: Finding, cluster: str) -> Notice:
    if one.sort is Sort.ALARM:
        # What it says is what it is known by: it names the object.
        about = f"{one.name}: {one.why}"
        return Notice(source="sentinel", sort=one.sort.value, cluster=cluster, about=about, why=one.why)
    return Notice(
        source="agent",
        sort=one.sort.value,
        cluster=cluster,
        about=one.about,
        grant=one.grant,
        why=one.why,
    )


def is_moving(life: Life, now_s: float, *, queued: bool) -> bool:
    return queued or now_s - life.seen_s < SETTLING_S


async def tell(found: Sequence[Finding], cluster: str, store: Store, told: Notices) -> None:
    """Raises nothing: what an agent puts right does not wait for it."""
    grants = {one.grant for one in found if one.grant}

    def moving(tx: Reading) -> dict[str, bool]:
        lives = [life for grant in sorted(grants) if (life := tx.life(grant)) is not None]
        queued = tx.in_outbox([life.id for life in lives])
        return {life.id: is_moving(life, tx.now_s, queued=life.id in queued) for life in lives}

    try:
        known = await store.read(moving)
    except Unreachable as error:
        _log.warning("not known what is under way", cluster=cluster, error=str(error))
        known = {}
    await told.tell(notices(found, cluster, known))
