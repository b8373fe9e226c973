"""Journals of an aliquot that knew clusters by their names alone."""

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, inspect, select, update

from aliquot.eks.upgrade.tables import runs


class _Of(Struct, frozen=True):
    """What a plan says of its cluster."""

    arn: str = ""


def carry_over(tx: Connection) -> None:
    """The table gets its column, and each run the ARN that its plan has."""
    known = inspect(tx)
    if not known.has_table(runs.name) or runs.c.arn.name in {
        one["name"] for one in known.get_columns(runs.name)
    }:
        return
    tx.exec_driver_sql("ALTER TABLE eks_runs ADD COLUMN arn TEXT NOT NULL DEFAULT ''")
    for row in tx.execute(select(runs.c.id, runs.c.plan)).all():
        tx.execute(update(runs).where(runs.c.id == row.id).values(arn=_arn(bytes(row.plan))))


def _arn(plan: bytes) -> str:
    try:
        return msgspec.json.decode(plan, type=_Of).arn
    except msgspec.MsgspecError:
        return ""
