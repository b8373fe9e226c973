"""What queues and their users had, kept up with the clock and through restarts.

The core books it; here it is told the time, and what is in the status of Queues is its memory: whoever takes the lead goes on with
that. It is written so seldom that a thousand queues are no load, and so often that no average has moved much since.
"""

from collections.abc import Callable, Iterable, Mapping

from aliquot.clock import Clock, parse_rfc3339, rfc3339
from aliquot.kube import duration
from aliquot.kube.api.core import Pod
from aliquot.kube.api.queue import Queue, QueueUsage, QueueUserUsage
from aliquot.kube.cache import Cache
from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.history import MOST_USERS, NOBODY, History
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.queues.tree import ROOT
from aliquot.scheduler.queues import Unreadable, amounts_of, status_amounts

WRITE_S = 300.0
"""Written no more often."""
_WRITES_PER_HALF_LIFE = 100
"""In a hundredth of a half-life an average moves by no more than 0.7 % of what is held."""


class UsageHistory:
    """Without a history in `accounts` there is nothing to do, and nothing is shown."""

    def __init__(self, *, clock: Clock, pods: Cache[Pod], queues: Cache[Queue], accounts: Accounts) -> None:
        self._clock = clock
        self._pods = pods
        self._queues = queues
        self._accounts = accounts

    @property
    def _history(self) -> History | None:
        return self._accounts.history

    def follow(self) -> Callable[[], None]:
        """Before others hear of a pod that changed, the time is told. Returns the function that stops it."""
        self.tell_time()
        return self._pods.subscribe(lambda old, new: self.tell_time())

    def tell_time(self) -> None:
        if self._history is not None:
            self._history.advance(self._clock.now())

    def look(self) -> None:
        """What was had until now counts in turns."""
        if self._history is not None:
            self.tell_time()
            self._history.look()

    def recall(self) -> None:
        """Go on with what is written."""
        history = self._history
        if history is None:
            return
        self.tell_time()
        for queue in self._queues.values():
            name, written = queue.metadata.name, queue.status.usage
            # What is above others has theirs.
            if written is not None and self._accounts.tree.refusal(name) is None:
                try:
                    history.recall(name, users_of(written), parse_rfc3339(written.at))
                except (Unreadable, ValueError):
                    # Somebody else's hand: what was seen here counts.
                    continue
        history.look()

    def shown(self, written: Mapping[str, QueueUsage | None]) -> Mapping[str, QueueUsage | None]:
        """What the status of these queues should have, instead of what is written."""
        history, now_s = self._history, self._clock.now()
        if history is None:
            return dict.fromkeys(written)
        every_s = max(WRITE_S, history.half_life_s / _WRITES_PER_HALF_LIFE)
        due = {name for name, one in written.items() if one is None or now_s >= _at_s(one) + every_s}
        had = self._had_with_those_below(history) if due else {}
        return {
            name: self._usage(history, name, had.get(name, {})) if name in due else one
            for name, one in written.items()
        }

    def _usage(self, history: History, queue: str, had: Amounts) -> QueueUsage | None:
        if not any(had.values()):
            return None
        users = history.users(queue)
        most = sorted(users, key=lambda user: (-self._accounts.part(users[user]), user))[:MOST_USERS]
        return QueueUsage(
            at=rfc3339(history.now_s),
            half_life=duration.text(history.half_life_s),
            average=status_amounts(had),
            users=[QueueUserUsage(name=user, average=status_amounts(users[user])) for user in sorted(most)],
        )

    def _had_with_those_below(self, history: History) -> Mapping[str, Amounts]:
        tree = self._accounts.tree
        had: dict[int, Amounts] = {}
        for leaf in history.queues:
            # Until now, as what its users had: at the last look it was another sum.
            amounts = history.used(leaf)
            for index in tree.path(leaf):
                had[index] = together(had.get(index, {}), amounts)
        return {tree.nodes[index].name: amounts for index, amounts in had.items() if index != ROOT}


def users_of(written: QueueUsage) -> Mapping[str, Amounts]:
    """What each had; what no name is known for is nobody's. Raises Unreadable."""
    users = {one.name: amounts_of(one.average) for one in written.users if one.average is not None}
    rest = dict(amounts_of(written.average)) if written.average is not None else {}
    for amounts in users.values():
        for resource, amount in amounts.items():
            rest[resource] = max(0, rest.get(resource, 0) - amount)
    return {NOBODY: rest, **users}


def half_life_s(queues: Iterable[Queue]) -> float | None:
    """With which the scheduler that runs remembers; None: it does not."""
    for queue in queues:
        if queue.status.usage is not None:
            try:
                return duration.seconds(queue.status.usage.half_life)
            except ValueError:
                continue
    return None


def _at_s(written: QueueUsage) -> float:
    try:
        return parse_rfc3339(written.at)
    except ValueError:
        return 0.0
