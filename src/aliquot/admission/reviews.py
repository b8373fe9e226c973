"""AdmissionReviews (admission.k8s.io/v1) of pods that are made: answered by the rule of `pods`. Pure."""

import base64
import json
from typing import Any

from aliquot.admission.pods import Refused, patch


class NotAReview(ValueError):
    """One line."""


def answer(body: bytes, *, scheduler: str) -> bytes:
    """Raises NotAReview."""
    try:
        review = json.loads(body)
        request = review["request"]
        uid, version = str(request["uid"]), str(review["apiVersion"])
        pod = request["object"]
        response = {"uid": uid, **_response(pod, scheduler)}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotAReview(f"not an AdmissionReview of a pod: {type(error).__name__}: {error}") from None
    return json.dumps({"apiVersion": version, "kind": "AdmissionReview", "response": response}).encode()


def _response(pod: Any, scheduler: str) -> dict[str, Any]:
    try:
        operations = patch(pod, scheduler=scheduler)
    except Refused as refused:
        return {
            "allowed": False,
            "status": {"code": 422, "reason": "Invalid", "message": str(refused)},
        }
    if not operations:
        return {"allowed": True}
    encoded = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}
