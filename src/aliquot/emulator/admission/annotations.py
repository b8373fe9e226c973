"""What admission notes of a request for the audit log."""

import structlog

from aliquot.emulator.schema.validation import names
from aliquot.emulator.verbs.call import Call

_log = structlog.get_logger(__name__)


def annotate(call: Call, key: str, value: str) -> None:
    """For the audit log; what was noted first stays."""
    if "/" not in key or names.qualified_name(key):
        _log.warning("annotation ignored", key=key)
        return
    call.annotations.setdefault(key, value)
