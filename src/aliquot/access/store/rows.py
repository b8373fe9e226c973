"""A life as a row, and back."""

from typing import Any

import msgspec

from aliquot.access.core.life.life import Life, review_is_open
from aliquot.access.core.life.timing import due_s

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
