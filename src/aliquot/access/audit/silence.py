"""Holes in the delivery: a cluster that says nothing while somebody is let into it. Pure.

With the audit policy that is given out (`cluster_side`) there is always something to be said: the broker renews a Lease in each cluster
every few seconds.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from aliquot.access.audit.findings import Finding
from aliquot.access.core.life.life import Life
from aliquot.clock import rfc3339

SILENT_AFTER_S = 300.0
"""The API server sends what it has every 30 s."""


class Span(Struct, frozen=True):
    """While somebody was let in."""

    begin_s: float
    end_s: float | None
    """None: they still are."""


def spans_of(lives: Iterable[Life]) -> tuple[Span, ...]:
    return tuple(Span(life.began_at_s, life.gone_at_s) for life in lives if life.began_at_s is not None)


def silence(
    cluster: str, last_s: float | None, now_s: float, spans: Sequence[Span], *, most_s: float
) -> Finding | None:
    """`last_s`: of the last delivery; None: there was none yet."""
    ends = [(one.begin_s, now_s if one.end_s is None else min(one.end_s, now_s)) for one in spans]
    heard_s = 0.0 if last_s is None else last_s
    left = [(max(begin_s, heard_s), end_s) for begin_s, end_s in ends if end_s > heard_s]
    if not left:
        return None
    since_s, until_s = min(begin_s for begin_s, _ in left), max(end_s for _, end_s in left)
    if until_s - since_s <= most_s:
        return None
    return Finding(
        rule=silence.__name__,
        cluster=cluster,
        about=rfc3339(since_s),
        text=f"nothing has come from the audit log of {cluster} since {rfc3339(since_s)}, while grants let people in there: "
        "what they do is not seen",
        first_s=since_s,
        last_s=until_s,
    )
