"""As JSON, with stable fields."""

from typing import Any

import msgspec

from aliquot.eks.preflight.verdict import Preflight
from aliquot.eks.versions import minor


def document(preflight: Preflight) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(preflight, enc_hook=minor.enc_hook)
    for one in told["findings"]:
        if "labels" in one:
            one["labels"] = dict(one["labels"])
    for missing, one in zip(told["notMade"], preflight.not_made, strict=True):
        missing["why"] = one.why
        del missing["needs"]
    return {**told, "blocked": any(one.blocks for one in preflight.findings), "summary": preflight.summary}
