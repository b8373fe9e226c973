"""What somebody changed of an object that is ours: it is put back, and told."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aliquot.kube import quantity

_MOST_TOLD = 3
_ATOMIC = ".nodeSelector"
"""Server-side apply takes it as one value. With an entry more, pods leave nodes that have no such label."""
_EMPTY: tuple[Any, ...] = (None, "", False, 0, [], {})


def drift(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """Paths at which the live object is not as wanted, each with both values. What is not wanted in particular, as the defaults of
    the API server, is nobody's drift."""
    return list(_differences(wanted, live, ""))


def in_words(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_TOLD
    told = "; ".join(paths[:_MOST_TOLD])
    return f"{told}; and {more} more" if more > 0 else told


def _differences(wanted: Any, live: Any, path: str) -> Iterator[str]:
    if live is None and wanted in _EMPTY:
        # What is empty is not kept.
        return
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            yield _told(path, wanted, live)
            return
        for name, value in wanted.items():
            yield from _differences(value, live.get(name), f"{path}.{name}" if path else name)
        if path.endswith(_ATOMIC):
            for name in live.keys() - wanted.keys():
                yield _told(f"{path}.{name}", None, live[name])
    elif isinstance(wanted, list):
        if not isinstance(live, list):
            yield _told(path, wanted, live)
        elif wanted and all(isinstance(one, Mapping) and "name" in one for one in wanted):
            yield from _named_differences(wanted, live, path)
        elif len(wanted) != len(live):
            yield _told(path, wanted, live)
        else:
            for number, (one, other) in enumerate(zip(wanted, live, strict=True)):
                yield from _differences(one, other, f"{path}[{number}]")
    elif wanted != live and not (".resources." in path and _same_amount(wanted, live)):
        yield _told(path, wanted, live)


def _named_differences(wanted: Sequence[Mapping[str, Any]], live: Sequence[Any], path: str) -> Iterator[str]:
    """Of lists that server-side apply merges by name: what others add is theirs."""
    found = {one["name"]: one for one in live if isinstance(one, Mapping) and "name" in one}
    for one in wanted:
        yield from _differences(one, found.get(one["name"]), f"{path}[{one['name']}]")


def _same_amount(wanted: Any, live: Any) -> bool:
    """The API server writes amounts its own way: 1000m is 1."""
    try:
        return quantity.parse(wanted) == quantity.parse(live)
    except (TypeError, ValueError):
        return False


def _told(path: str, wanted: Any, live: Any) -> str:
    return f"{path} was {_short(live)}, is to be {_short(wanted)}"


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
