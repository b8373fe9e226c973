"""How a job that can save what it has done says so, is asked to, and answers: annotations of its pods."""

from datetime import datetime
from math import inf

ON_REQUEST = "aliquot.dev/checkpoint-on-request"
"""`true`, by whoever makes the pod: it saves when it is asked, and is worth waiting for."""
REQUESTED = "aliquot.dev/checkpoint-requested"
"""RFC 3339, by whoever is about to take its place away: save now. The pod sees it through the downward API."""
LAST = "aliquot.dev/last-checkpoint"
"""RFC 3339. On any pod of a job, for all of it."""


def read(text: str) -> float:
    """Unix seconds; -inf: it says nothing. Raises ValueError."""
    if not text:
        return -inf
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("it does not say of which zone it is")
    return moment.timestamp()
