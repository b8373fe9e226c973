"""What goes into the log before anything is done: who did what, what changed by it, and what is to be done because of it.

From the facts of one request its life can be made again, word for word. What somebody wrote in their own words is kept apart, by where
it belongs, so that the log can hold a commitment to it and forget the words.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.people import Person
from aliquot.access.core.spelling import read, spell

_WORDS = frozenset({"justification", "why", "note"})
"""Fields that hold what a person wrote."""


class Fact(Struct, frozen=True, kw_only=True, rename="camel"):
    action: str
    """`request.asked`, `grant.began`; `intends.makeGrant` before an effect."""
    by: Person | None
    """None: nobody, it is time or a rule."""
    at_s: float
    grant: str
    request_digest: str
    policy_digest: str
    """Empty: nothing was decided by it."""
    before: Stage | None
    after: Stage
    details: dict[str, Any] = {}
    """JSON. Under `changed` the life's fields that are others now."""
    personal: dict[str, str] = {}
    """What somebody wrote, by where in `changed` it belongs: `request.justification`."""


def changes(before: Life | None, after: Life) -> tuple[dict[str, Any], dict[str, str]]:
    """(what is other, words apart)."""
    old = {} if before is None else spell(before)
    words: dict[str, str] = {}
    changed = {
        name: _without_words(value, name, words)
        for name, value in spell(after).items()
        if name not in old or old[name] != value
    }
    return {name: value for name, value in changed.items() if name not in words}, words


def replay(facts: Iterable[Fact]) -> Life | None:
    """The life that they are the facts of. None: there are none."""
    spelled: dict[str, Any] = {}
    for fact in facts:
        changed = fact.details.get("changed", {})
        spelled.update(_copied(changed))
        for path, text in fact.personal.items():
            _put(spelled, path.split("."), text)
    return read(spelled, Life) if spelled else None


def _without_words(value: Any, path: str, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_words(one, f"{path}.{name}", words)
            for name, one in value.items()
            if not _is_word(name, one, f"{path}.{name}", words)
        }
    if isinstance(value, list):
        return [_without_words(one, f"{path}.{index}", words) for index, one in enumerate(value)]
    _is_word(path, value, path, words)
    return value


def _is_word(name: str, value: Any, path: str, words: dict[str, str]) -> bool:
    if name in _WORDS and isinstance(value, str):
        words[path] = value
        return True
    return False


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_copied(one) for one in value]
    return value


def _put(into: Any, path: list[str], text: str) -> None:
    *way, last = path
    for name in way:
        into = into[int(name)] if isinstance(into, list) else into[name]
    into[last] = text
