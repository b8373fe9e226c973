"""How far our clock may be from the API server's. An end that is told by one and kept by the other is no better than that."""

from aliquot.access.core.times import MOST_SKEW_S
from aliquot.kube.client import Client


class ClocksDiffer(Exception):
    """One line. Nothing is given out while it is so."""


async def check(client: Client) -> float:
    """The server's time. Raises ClocksDiffer, also where the difference cannot be told, and ApiError."""
    before_s = client.clock.now()
    told_s = await client.server_time_s()
    after_s = client.clock.now()
    if told_s is None:
        raise ClocksDiffer(
            "the API server does not tell its time (no Date in its answer): a proxy takes it away"
        )
    worst_s = most(before_s, told_s, after_s)
    if worst_s > MOST_SKEW_S:
        raise ClocksDiffer(
            f"our clock and the API server's may be {worst_s:.1f} s apart, and {MOST_SKEW_S} s are borne: set the clocks, "
            "or mend a connection that takes that long"
        )
    return told_s


def most(before_s: float, told_s: float, after_s: float) -> float:
    """By how much two clocks can differ, when one told whole seconds, begun, between two moments of the other."""
    return max(after_s - told_s, told_s + 1 - before_s)
