"""What is answered where something was ended while the database is gone: it is done, or being done, and the database has still to be
told."""

from typing import Any

from starlette.responses import Response

from aliquot.access.api.door import written
from aliquot.access.broker.outage import Taken
from aliquot.access.journal.records import Pulled, Revoked
from aliquot.clock import rfc3339_milli

PATIENCE_S = 4.0
"""A database that has not answered by then is gone, to whoever wants to end something. It may still do what it was asked: it is told
once more, and that changes nothing."""


def journaled(taken: Taken) -> Response:
    act = taken.act
    said: dict[str, Any] = {
        "record": act.id,
        "grant": "" if isinstance(act, Pulled) else act.grant,
        "at": rfc3339_milli(act.at_s),
        "isJournaled": taken.is_written,
        "isRemoved": taken.removed_at_s is not None,
        "detail": detail(taken),
    }
    return written(said, 202)


def detail(taken: Taken) -> str:
    """One line."""
    act = taken.act
    if isinstance(act, Pulled):
        done = "the kill switch is pulled, and nobody is let in"
        left = "every grant is gone from the clusters"
    else:
        done = "revoked" if isinstance(act, Revoked) else "returned"
        left = f"it is gone from cluster {act.cluster}"
    if taken.removed_at_s is None:
        left = f"not all is gone yet ({taken.problem or 'it is being taken away'}): it is tried until it is"
    kept = "it is in this server's journal"
    if not taken.is_written:
        kept = (
            "the journal cannot be written either, so it is in this server's memory alone: do not restart it"
        )
    return f"{done}; {left}; the database is out of reach: {kept}, and comes into the log once the database is back"
