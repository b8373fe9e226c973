"""How the installation stands, counted at one moment: for whoever looks after it. The same from each of its servers."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, case, func, select

from aliquot.access.core.life.stages import FINAL, Stage
from aliquot.access.store.tables import audit_deliveries, lives, outbox


class Witnessed(Struct, frozen=True):
    """How far a witness of the log is."""

    size: int = 0
    """Of the last checkpoint that it signed."""
    current_s: float = 0.0
    """When it had last signed all that was signed by us."""
    problem: str = ""
    """Why it signed nothing when it was asked last."""


class LogStanding(Struct, frozen=True):
    size: int
    signed_size: int
    signed_s: float
    """0: never."""


class Grants(Struct, frozen=True):
    template: str
    cluster: str
    count: int


class Waiting(Struct, frozen=True):
    """Effects of one kind that are still to be carried out."""

    kind: str
    count: int
    failing: int
    """That have failed before."""
    oldest_s: float
    """Since when the oldest waits."""


class Standing(Struct, frozen=True, kw_only=True):
    now_s: float
    requests: Mapping[str, int]
    """Those that are not over, by stage."""
    active: tuple[Grants, ...]
    waiting: tuple[Waiting, ...]
    reviews_due: int
    reviews_overdue: int
    log: LogStanding
    witnesses: Mapping[str, Witnessed]
    audit_logs: Mapping[str, float]
    """By cluster, when something last came of its audit log."""
    is_switch_pulled: bool


def standing(
    connection: Connection,
    now_s: float,
    *,
    log: LogStanding,
    witnesses: Mapping[str, Witnessed],
    is_switch_pulled: bool,
) -> Standing:
    due, overdue = _reviews(connection, now_s)
    return Standing(
        now_s=now_s,
        requests=_requests(connection),
        active=_active(connection),
        waiting=_waiting(connection),
        reviews_due=due,
        reviews_overdue=overdue,
        log=log,
        witnesses=witnesses,
        audit_logs={row.cluster: row.last_s for row in connection.execute(select(audit_deliveries))},
        is_switch_pulled=is_switch_pulled,
    )


def _requests(connection: Connection) -> dict[str, int]:
    is_open = lives.c.stage.not_in([stage.value for stage in FINAL])
    found = connection.execute(select(lives.c.stage, func.count()).where(is_open).group_by(lives.c.stage))
    counted = {stage.value: 0 for stage in Stage if stage not in FINAL}
    return counted | {row[0]: row[1] for row in found}


def _active(connection: Connection) -> tuple[Grants, ...]:
    by = (lives.c.template, lives.c.cluster)
    found = select(*by, func.count()).where(lives.c.stage == Stage.ACTIVE.value).group_by(*by).order_by(*by)
    return tuple(Grants(*row) for row in connection.execute(found))


def _waiting(connection: Connection) -> tuple[Waiting, ...]:
    failing = func.sum(case((outbox.c.attempts > 0, 1), else_=0))
    found = select(outbox.c.kind, func.count(), failing, func.min(outbox.c.queued_s)).group_by(outbox.c.kind)
    return tuple(Waiting(*row) for row in connection.execute(found.order_by(outbox.c.kind)))


def _reviews(connection: Connection, now_s: float) -> tuple[int, int]:
    overdue: Any = func.sum(case((lives.c.review_due_s <= now_s, 1), else_=0))
    row = connection.execute(select(func.count(), overdue).where(lives.c.review_due_s.is_not(None))).one()
    return row[0], row[1] or 0
