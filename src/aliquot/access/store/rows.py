"""A life as a row, and back."""

from typing import Any

import msgspec

from aliquot.access.core.life.life import Life, review_is_open
from aliquot.access.core.life.stages import IN_CLUSTER, Stage

_decoder = msgspec.json.Decoder(Life)
_encoder = msgspec.json.Encoder()


def row(life: Life) -> dict[str, Any]:
    request = life.request
    return {
        "id": life.id,
        "version": life.version,
        "stage": life.stage.value,
        "template": request.template,
        "cluster": request.cluster,
        "namespace": request.namespace,
        "issuer": request.requester.issuer,
        "subject": request.requester.subject,
        "extends": request.extends,
        "asked_s": request.asked_at_s,
        "began_s": life.began_at_s,
        "over_s": life.over_at_s,
        "review_due_s": life.review.due_s if life.review is not None and review_is_open(life) else None,
        "due_s": due_s(life),
        "body": _encoder.encode(life),
    }


def life(body: bytes) -> Life:
    return _decoder.decode(body)


def due_s(life: Life) -> float | None:
    """When to look at it next if nothing happens to it. None: time changes nothing about it any more."""
    moments: list[float | None] = []
    if life.stage is Stage.PENDING:
        moments.append(life.lapses_s)
    elif life.stage in (Stage.APPROVED, Stage.SCHEDULED):
        moments += [life.window_end_s, life.request.start_s if life.stage is Stage.SCHEDULED else None]
    elif life.stage in IN_CLUSTER and life.stage is not Stage.ENDING:
        moments.append(life.end_s)
    if life.review is not None and review_is_open(life) and not life.review.is_overdue:
        moments.append(life.review.due_s)
    known = [moment for moment in moments if moment is not None]
    return min(known) if known else None
