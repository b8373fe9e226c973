"""An ask as it is written in JSON, by whoever asks for themselves and by webhooks: moments in RFC 3339, durations in whole seconds."""

from typing import Annotated

from msgspec import Meta, Struct

from aliquot.access.core.requests import Request
from aliquot.access.core.spelling import to_ms
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


def difference(asked: Ask, request: Request) -> str:
    """What an ask says otherwise than the request that is there; empty: nothing. How long, where it is not said, is as it is there."""
    start_s = None if asked.start_s is None else to_ms(asked.start_s)
    said = {
        "template": (request.template, asked.template),
        "cluster": (request.cluster, asked.cluster),
        "namespace": (request.namespace, asked.namespace),
        "parameters": (request.parameters, dict(asked.parameters)),
        "durationSeconds": (
            request.duration_s,
            request.duration_s if asked.duration_s is None else asked.duration_s,
        ),
        "start": (request.start_s, start_s),
        "justification": (request.justification, asked.justification),
        "ticket": (request.ticket, asked.ticket),
        "emergency": (request.emergency, asked.emergency),
        "extends": (request.extends, asked.extends),
    }
    other = [name for name, (there, here) in said.items() if there != here]
    return f"{', '.join(other)} {'is' if len(other) == 1 else 'are'} not as before" if other else ""


def moment(name: str, text: str) -> float:
    """Raises ValueError."""
    try:
        found_s = parse_rfc3339(text)
        # Some that can be read cannot be written in UTC.
        rfc3339_milli(found_s)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"'{name}' is {text[:80]!r}, which is no moment like 2026-11-29T06:40:00Z") from None
    return found_s
