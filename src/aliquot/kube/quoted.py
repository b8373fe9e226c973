"""What somebody wrote, within a message."""

_MOST = 64


def quoted(text: str) -> str:
    """In quotes and on one line, as much of it as tells which one it is."""
    return repr(text) if len(text) <= _MOST else f"{text[:_MOST]!r}..."
