"""What the API server answered to our own calls, until the caches have it.

A loop that looks again before its last write has come back by the watch would do it a second time; one that decides over many
objects would see a past in which a node still waits that was let start a moment ago.
"""

from typing import Generic, TypeVar

from aliquot.kube.watching import version_of

T = TypeVar("T")


class Answers(Generic[T]):
    """Of one kind: its revisions may be compared as numbers, which KEP-5504 made a promise."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[bool, T]] = {}

    def put(self, name: str, before: T | None, answer: T) -> None:
        """`before`: as the cache had it before the call. After it the cache may have what came later than the answer."""
        known = self._answers.get(name)
        if known is None or _number(answer) >= _number(known[1]):
            self._answers[name] = before is not None, answer

    def newest(self, name: str, cached: T | None) -> T | None:
        """The answer while the cache trails it, else what the cache has."""
        found = self._answers.get(name)
        if found is None:
            return cached
        was_there, answer = found
        # What was there, and is not any more, was deleted; what was not there is still to come.
        if was_there if cached is None else _number(cached) >= _number(answer):
            del self._answers[name]
            return cached
        return answer

    def forget(self, name: str) -> None:
        self._answers.pop(name, None)


def _number(obj: object) -> int:
    version = version_of(obj)
    return int(version) if version.isdecimal() else 0
