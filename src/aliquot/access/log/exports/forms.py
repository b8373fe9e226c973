"""The forms by name and by media type."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from aliquot.access.log.dump import Recorded
from aliquot.access.log.exports.cloudevents import cloudevents
from aliquot.access.log.exports.ocsf import ocsf
from aliquot.access.log.exports.table import rows


class Form(StrEnum):
    CLOUDEVENTS = "cloudevents"
    OCSF = "ocsf"
    CSV = "csv"


MEDIA_TYPES = {
    Form.CLOUDEVENTS: "application/cloudevents-batch+json",
    Form.OCSF: "application/jsonl",
    Form.CSV: "text/csv",
}
"""Of whole documents."""


def lines(form: Form, recorded: Iterable[Recorded]) -> Iterator[str]:
    """Events one on each line, or rows, as they are read."""
    match form:
        case Form.CSV:
            yield from rows(recorded)
        case Form.OCSF:
            yield from (_encoded(one) + "\n" for one in ocsf(recorded))
        case Form.CLOUDEVENTS:
            yield from (_encoded(one) + "\n" for one in cloudevents(recorded))


def document(form: Form, recorded: Iterable[Recorded], earlier: Iterable[Recorded]) -> str:
    """Of its media type. `earlier`: entries before these that they hang on."""
    match form:
        case Form.CSV:
            return "".join(rows(recorded))
        case Form.OCSF:
            return "".join(_encoded(one) + "\n" for one in ocsf(recorded, earlier))
        case Form.CLOUDEVENTS:
            return _encoded(list(cloudevents(recorded)))


def _encoded(found: object) -> str:
    return msgspec.json.encode(found).decode()
