"""Files of demand: how many slices of each profile are wanted.

`demand: {1g.10gb: 120, 3g.40gb: 7}`, or a list of `{profile, count}`, where a profile may come up more than once.
"""

from collections.abc import Collection
from typing import Annotated

from msgspec import Meta, Struct

from aliquot import document
from aliquot.document import nearest

_Count = Annotated[int, Meta(ge=1, le=100_000_000)]


class _Item(Struct):
    profile: str
    count: _Count = 1


class _File(Struct):
    demand: dict[str, _Count] | list[_Item]


def parse(text: str, known: Collection[str], *, source: str) -> dict[str, int]:
    """Profile -> count. `known`: names that the boards have. Raises DocumentError."""
    parsed = document.parse(text, source=source)
    file = parsed.into(_File)
    found: dict[str, int] = {}
    if isinstance(file.demand, dict):
        items: list[tuple[tuple[str | int, ...], str, int]] = [
            ((name,), name, count) for name, count in file.demand.items()
        ]
    else:
        items = [((n, "profile"), item.profile, item.count) for n, item in enumerate(file.demand)]
    for path, name, count in items:
        if name not in known:
            hint = nearest(name, known) or f"; there are {', '.join(sorted(known))}"
            raise parsed.error(("demand", *path), f"no board here has a profile '{name}'{hint}")
        found[name] = found.get(name, 0) + count
    if not found:
        raise parsed.error(("demand",), "the demand is empty: name a profile and how many of it")
    return found
