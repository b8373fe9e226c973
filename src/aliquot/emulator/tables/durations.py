"""Ages as kubectl shows them (Kubernetes' duration.HumanDuration)."""

from typing import Any

from aliquot import clock

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def human(seconds: float) -> str:
    """`45s`, `3m20s`, `5h`, `2d3h`: two units at most, the finer one only while it matters."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    minutes, hours = whole // _MINUTE, whole // _HOUR
    if minutes < 10:
        return _pair(minutes, "m", whole % _MINUTE, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _pair(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = whole // _DAY
    if days < 8:
        return _pair(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return _pair(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _pair(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def since(timestamp: Any, now: float) -> str:
    """The age of an RFC 3339 time, `<unknown>` where there is none."""
    if not timestamp:
        return "<unknown>"
    try:
        return human(now - clock.parse_rfc3339(timestamp))
    except (ValueError, TypeError):
        return "<invalid>"
