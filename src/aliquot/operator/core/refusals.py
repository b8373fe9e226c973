"""Why an operand has no pod: what the API server has against those that its DaemonSet makes, as the DaemonSet's events say."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.clock import parse_rfc3339

REASON = "FailedCreate"
_TOLD_FOR_S = 1200.0
"""The controller of DaemonSets tries again after 1000 s at the latest, and says so anew."""
_NAME = re.compile(r'pods "[^"]*"')
_USED = re.compile(r", used: \S+(?=, limited: )")


def daemon_set_of(event: Mapping[str, Any]) -> str:
    """Its name; empty: it is about something else."""
    about = event.get("involvedObject") or {}
    if event.get("reason") != REASON or about.get("kind") != "DaemonSet":
        return ""
    found: str = about.get("name", "")
    return found


def refusal(events: Iterable[Mapping[str, Any]], now_s: float) -> str:
    """`events`: of one DaemonSet. What was said last, without what is another with each pod; empty: nothing of late."""
    said_s, message = max(((_told_s(one), one.get("message", "")) for one in events), default=(0.0, ""))
    if now_s - said_s > _TOLD_FOR_S:
        return ""
    return _USED.sub("", _NAME.sub("its pod", message.removeprefix("Error creating: "), count=1))


def _told_s(event: Mapping[str, Any]) -> float:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    try:
        return max((parse_rfc3339(one) for one in times if one), default=0.0)
    except ValueError:
        return 0.0
