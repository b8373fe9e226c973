"""An ask as it is written in JSON, by whoever asks for themselves and by webhooks: moments in RFC 3339, durations in whole seconds."""

from typing import Annotated

from msgspec import Meta, Struct

from aliquot.access.core.terms import Ask
from aliquot.clock import parse_rfc3339, rfc3339_milli

Seconds = Annotated[int, Meta(ge=1, le=10**8)]


class AskBody(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    template: str
    cluster: str
    namespace: str = ""
    parameters: dict[str, str] = {}
    duration_seconds: Seconds | None = None
    start: str | None = None
    justification: str
    ticket: str = ""
    emergency: bool = False

    def ask(self) -> Ask:
        """Raises ValueError."""
        return Ask(
            template=self.template,
            cluster=self.cluster,
            namespace=self.namespace,
            parameters=self.parameters,
            duration_s=self.duration_seconds,
            start_s=None if self.start is None else moment("start", self.start),
            justification=self.justification,
            ticket=self.ticket,
            emergency=self.emergency,
        )


def moment(name: str, text: str) -> float:
    """Raises ValueError."""
    try:
        found_s = parse_rfc3339(text)
        # Some that can be read cannot be written in UTC.
        rfc3339_milli(found_s)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"'{name}' is {text[:80]!r}, which is no moment like 2026-11-29T06:40:00Z") from None
    return found_s
