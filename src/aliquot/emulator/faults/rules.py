"""What goes wrong, for whom, how often: rules, and what they make of one request. Pure: chance is passed in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated

from msgspec import Meta, Struct

from aliquot.emulator.http.request import Request

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Cut(Enum):
    """Where the connection breaks."""

    REQUEST = "request"
    """Before anything is done."""
    ANSWER = "answer"
    """All is done, and nobody is told."""
    MIDDLE = "middle"
    """All is done, and half of the answer arrives."""


class Error(Struct, frozen=True, kw_only=True, rename="camel"):
    """A Status instead of what was asked for, which is not done."""

    status: Annotated[int, Meta(ge=400, le=599)]
    reason: str = ""
    """Empty: the usual one of the status."""
    message: str = "a fault that was asked for"
    retry_after_seconds: Annotated[int, Meta(ge=0)] = 0
    """Told in the header Retry-After too; 0: not told."""

    @property
    def said_reason(self) -> str:
        return self.reason or _REASONS.get(self.status, "InternalError")


class WatchFault(Struct, frozen=True, kw_only=True, rename="camel"):
    """Of a watch that has begun. Events are counted with its bookmarks."""

    cut_after: Annotated[int, Meta(ge=0)] | None = None
    """The connection breaks after so many events."""
    cut_share: Share = 0.0
    """How likely it breaks at each piece of the stream, in the middle of an event."""
    stall_after: Annotated[int, Meta(ge=0)] | None = None
    """After so many events nothing comes any more; the connection stays."""
    lag_seconds: Seconds = 0.0
    """Each piece comes so much later; what happens meanwhile comes with the next one."""

    @property
    def does_nothing(self) -> bool:
        return self == _HARMLESS


_HARMLESS = WatchFault()


class Rule(Struct, frozen=True, kw_only=True, rename="camel"):
    """Patterns may have `*`; an empty list is anything. The rule strikes with `probability`, `times` times at most.

    One with `watch` is about watches alone.
    """

    name: str = ""
    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    """`pods`, `pods/status`, `deployments.apps`."""
    namespaces: tuple[str, ...] = ()
    """A request of no namespace, or of all of them, has the empty one."""
    users: tuple[str, ...] = ()
    probability: Share = 1.0
    times: Count | None = None
    delay_seconds: Seconds = 0.0
    jitter_seconds: Seconds = 0.0
    """Up to so much more delay, drawn evenly."""
    error: Error | None = None
    cut: Cut | None = None
    watch: WatchFault | None = None

    @property
    def does_nothing(self) -> bool:
        watch = self.watch is None or self.watch.does_nothing
        late = self.delay_seconds or self.jitter_seconds
        return not late and self.error is None and self.cut is None and watch

    def matches(self, request: Request, user: str) -> bool:
        names = [request.plural, f"{request.plural}.{request.group}" if request.group else request.plural]
        if request.subresource:
            names = [f"{name}/{request.subresource}" for name in names]
        return (
            (self.watch is None or request.verb == "watch")
            and _any(self.verbs, [request.verb])
            and _any(self.resources, names)
            and _any(self.namespaces, [request.namespace])
            and _any(self.users, [user])
        )


def _any(patterns: Sequence[str], names: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


@dataclass(frozen=True, slots=True)
class Struck:
    """What happens to one request. `delay_s` comes first."""

    delay_s: float = 0.0
    error: Error | None = None
    cut: Cut | None = None
    watch: WatchFault | None = None


NOTHING = Struck()


class Rules:
    """Rules, and how often each of them may still strike."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._left: list[tuple[Rule, int | None]] = [(rule, rule.times) for rule in rules]

    @property
    def need_user(self) -> bool:
        return any(rule.users for rule, _ in self._left)

    def strike(self, request: Request, user: str, rng: Random) -> Struck:
        """In the order of the rules: delays add up, the first error or cut ends it."""
        delay_s, watch = 0.0, None
        for index, (rule, left) in enumerate(self._left):
            if left == 0 or not rule.matches(request, user):
                continue
            if rule.probability < 1 and rng.random() >= rule.probability:
                continue
            if left is not None:
                self._left[index] = (rule, left - 1)
            delay_s += rule.delay_seconds
            if rule.jitter_seconds:
                delay_s += rng.uniform(0, rule.jitter_seconds)
            watch = watch or rule.watch
            if rule.error is not None or rule.cut is not None:
                return Struck(delay_s, rule.error, rule.cut if rule.error is None else None)
        return Struck(delay_s, watch=watch) if delay_s or watch else NOTHING
