"""CloudEvents 1.0 in their JSON format: one for each entry, about its grant."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from aliquot.access.log.dump import Recorded

SCHEMA = "urn:aliquot:access-log:entry:v1"


def cloudevents(recorded: Iterable[Recorded]) -> Iterator[dict[str, Any]]:
    """The id is the entry's number: with the source it is unique, and the same each time it is exported."""
    for one in recorded:
        entry = one.entry
        event = {
            "specversion": "1.0",
            "id": str(entry.seq),
            "source": f"//{one.origin}",
            "type": f"dev.aliquot.access.{entry.action}",
            "time": entry.time,
            "datacontenttype": "application/json",
            "dataschema": SCHEMA,
            "data": msgspec.to_builtins(entry) | ({"personal": one.personal} if one.personal else {}),
        }
        if entry.grant:
            event["subject"] = entry.grant
        yield event
