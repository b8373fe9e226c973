"""Files of what a cluster was asked for: the profile of each request, and how long it stayed.

`history: [{profile: 1g.10gb, stayed: 5400}, ...]`, in seconds or any other unit: only their ratios count.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.document import nearest


class _Request(Struct):
    profile: str
    stayed: Annotated[float, Meta(gt=0)]


class _File(Struct):
    history: list[_Request]


def parse(text: str, profiles: Sequence[str], *, source: str) -> list[tuple[int, float]]:
    """(index in `profiles`, how long it stayed) of each. Raises DocumentError."""
    parsed = document.parse(text, source=source)
    requests = parsed.into(_File).history
    index = {name: number for number, name in enumerate(profiles)}
    found = []
    for number, request in enumerate(requests):
        if request.profile not in index:
            hint = nearest(request.profile, index) or f"; there are {', '.join(profiles)}"
            raise parsed.error(
                ("history", number, "profile"), f"the board has no profile '{request.profile}'{hint}"
            )
        found.append((index[request.profile], request.stayed))
    if not found:
        raise parsed.error(("history",), "the history is empty: there is nothing to learn from")
    return found
