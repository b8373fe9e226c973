"""What the API server answered to our own writes, until the caches have it.

A loop that looks again before its last write has come back by the watch would do it a second time.
"""

from typing import Any, Generic, TypeVar

from aliquot.kube.watching import version_of

T = TypeVar("T")


class Answers(Generic[T]):
    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, T]] = {}

    def put(self, name: str, before: T | None, answer: T) -> None:
        """`before`: as the cache had it before the call. After it the cache may have what came later than the answer."""
        self._answers[name] = _version(before), answer

    def newest(self, name: str, cached: T | None) -> T | None:
        """The answer while the cache still has what was there before it, else what the cache has."""
        found = self._answers.get(name)
        if found is None:
            return cached
        if found[0] == _version(cached):
            return found[1]
        del self._answers[name]
        return cached

    def forget(self, name: str) -> None:
        self._answers.pop(name, None)


def _version(obj: Any) -> str:
    if obj is None:
        return ""
    return version_of(obj)
