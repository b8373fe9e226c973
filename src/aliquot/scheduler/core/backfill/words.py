"""A time span for people."""


def duration(seconds: float) -> str:
    """`45s`, `12m`, `3h20m`, `2d4h`: two units at most, rounded up."""
    left = max(0, int(-(-seconds // 1)))
    if left < 120:
        return f"{left}s"
    minutes = -(-left // 60)
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    days, hours = divmod(hours + bool(minutes), 24)
    return f"{days}d{hours}h" if hours else f"{days}d"
