"""From the tables of one version to those of the next, beside new tables, which are simply made."""

from collections.abc import Iterator, Mapping, Sequence

_STATEMENTS: Mapping[int, Sequence[str]] = {
    1: (
        "ALTER TABLE outbox ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE outbox ADD COLUMN until_s DOUBLE PRECISION NOT NULL DEFAULT 0",
    ),
    4: ("ALTER TABLE outbox ADD COLUMN queued_s DOUBLE PRECISION NOT NULL DEFAULT 0",),
}
"""By the version that they start from; both databases read them."""


def upgrades(found: str, wanted: int) -> Iterator[str] | None:
    """None: there is no way from there."""
    version = int(found) if found.isascii() and found.isdigit() else 0
    if not 1 <= version <= wanted:
        return None
    return (one for step in range(version, wanted) for one in _STATEMENTS.get(step, ()))
