"""The log as CSV (RFC 4180), a row for each entry."""

import csv
import io
import json
from collections.abc import Iterable, Iterator

from aliquot.access.log.dump import Recorded

COLUMNS = (
    "seq",
    "time",
    "action",
    "grant",
    "issuer",
    "subject",
    "auth",
    "credential",
    "before",
    "after",
    "request_digest",
    "policy_digest",
    "details",
    "personal",
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(recorded: Iterable[Recorded]) -> Iterator[str]:
    """Lines with their ends, the columns' names first. No cell is a formula to a spreadsheet."""
    yield line(COLUMNS)
    for one in recorded:
        entry, actor = one.entry, one.entry.actor
        yield line(
            (
                str(entry.seq),
                entry.time,
                entry.action,
                entry.grant,
                actor.iss,
                actor.sub,
                actor.auth,
                actor.credential,
                entry.before,
                entry.after,
                entry.request_digest,
                entry.policy_digest,
                _compact(entry.details),
                _compact(one.personal),
            )
        )


def _compact(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if document else ""


def line(cells: Iterable[str]) -> str:
    """With its end. No cell is a formula to a spreadsheet."""
    written = io.StringIO()
    csv.writer(written).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return written.getvalue()
