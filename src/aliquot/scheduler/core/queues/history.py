"""What queues and their users have had, recent times counting most.

A running average of what is held, in which a moment counts half as much after every half-life. Nothing has to be told at regular
times: the average of a stretch in which nothing changed is known. So each change is booked at its time, and what came of
all of them is looked at once in a while: until the next look it counts as it was then.

What a queue has had is what its users have had; the jobs of nobody in particular are those of the user without a name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.fair_share import Past
from aliquot.scheduler.core.queues.line import dominant

NOBODY = ""
MOST_USERS = 50
"""Of a queue, so many that hold nothing are told apart: names are free, and memory is not."""
LOOK_S = 60.0
"""From one look to the next."""

_FORGOTTEN = 0.001
"""Of a unit: an average below it is none. One GPU for a second is more, in two weeks."""
_STRENGTH = 1.0
"""Of the past in `fair_share`: who had twice its part is due none of what is over."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one queue, or of one user of a queue."""

    average: Mapping[str, float] = field(default_factory=dict)
    """At `at_s`, in the units of what is held."""
    at_s: float = 0.0


def advanced(usage: Usage, held: Amounts, now_s: float, half_life_s: float) -> Usage:
    """The usage now, `held` being what was held since. In one step or in many: it comes to the same. A clock that went back
    counts as no time."""
    passed_s = now_s - usage.at_s
    if passed_s <= 0:
        return usage
    kept = 0.5 ** (passed_s / half_life_s)
    average = {
        resource: value
        for resource in usage.average.keys() | held.keys()
        if (value := usage.average.get(resource, 0.0) * kept + held.get(resource, 0) * (1 - kept))
        >= _FORGOTTEN
    }
    return Usage(average, now_s)


def used(usage: Usage) -> Amounts:
    """In whole units, as `fair_share.Past` takes it."""
    return {resource: units for resource, value in usage.average.items() if (units := round(value))}


@dataclass(slots=True)
class _Book:
    usage: Usage
    held: dict[str, int] = field(default_factory=dict)
    soon: Amounts | None = None
    """See `History.had`; None: to be found."""


class History:
    """Of all queues. Changes are booked at the time that it was told last."""

    def __init__(self, half_life_s: float, now_s: float = 0.0) -> None:
        self.half_life_s = half_life_s
        self.now_s = now_s
        self.past = Past({}, _STRENGTH)
        """As of the last look."""
        self._books: dict[str, dict[str, _Book]] = {}
        """By queue and user."""

    def advance(self, now_s: float) -> None:
        """What is told from now on happens now. A clock that went back stands still."""
        self.now_s = max(self.now_s, now_s)

    def hold(self, queue: str, user: str, amounts: Amounts, sign: int = 1) -> None:
        """So much more is held from now on; with the sign -1 less."""
        if not amounts:
            return
        book = self._book(queue, user)
        self._bring(book)
        for resource, amount in amounts.items():
            left = book.held.get(resource, 0) + sign * amount
            if left:
                book.held[resource] = left
            else:
                book.held.pop(resource, None)

    def look(self) -> None:
        """What was had until now counts in turns; what is all but forgotten is dropped."""
        for queue, books in list(self._books.items()):
            for user, book in list(books.items()):
                self._bring(book)
                if not book.held and not book.usage.average:
                    del books[user]
            self._merge(books)
            if not books:
                del self._books[queue]
        self.past = Past({queue: self.used(queue) for queue in self._books}, _STRENGTH)

    @property
    def books(self) -> Iterator[tuple[str, str, Usage, Amounts]]:
        """Queue and user, what was had until the last change, and what is held since."""
        for queue, books in self._books.items():
            for user, book in books.items():
                yield queue, user, book.usage, dict(book.held)

    def resume(self, books: Iterable[tuple[str, str, Usage, Amounts]], past: Mapping[str, Amounts]) -> None:
        """All that another one knew; `past`: as of its last look."""
        self._books = {}
        for queue, user, usage, held in books:
            self._books.setdefault(queue, {})[user] = _Book(usage, dict(held))
        self.past = Past(past, _STRENGTH)

    @property
    def queues(self) -> Iterable[str]:
        """Of which something is known."""
        return self._books.keys()

    def used(self, queue: str) -> Amounts:
        """By all its users, until now."""
        return used(self._total(self._books.get(queue, {}).values()))

    def users(self, queue: str) -> Mapping[str, Amounts]:
        """What each that has a name has had until now."""
        books = self._books.get(queue, {})
        found = ((user, used(self._now(book))) for user, book in books.items() if user != NOBODY)
        return {user: amounts for user, amounts in found if amounts}

    def had(self, queue: str, user: str) -> Amounts:
        """What it will have had soon, as things are: a minute after what it holds has changed, or it was looked at. So who is given
        much at once has had it at once."""
        book = self._books.get(queue, {}).get(user)
        if book is None:
            return {}
        if book.soon is None:
            soon_s = book.usage.at_s + LOOK_S
            book.soon = used(advanced(book.usage, book.held, soon_s, self.half_life_s))
        return book.soon

    @property
    def soon(self) -> float:
        """The part of something held from now on that was had by then."""
        return 1.0 - float(0.5 ** (LOOK_S / self.half_life_s))

    def recall(self, queue: str, users: Mapping[str, Amounts], at_s: float) -> None:
        """What was had until `at_s` is known from elsewhere, and better. What is held now was held since."""
        books = self._books.setdefault(queue, {})
        for user in books.keys() | users.keys():
            book = self._book(queue, user)
            average = {resource: float(amount) for resource, amount in users.get(user, {}).items()}
            # At no time that is still to come, whatever the clock of whoever wrote it.
            book.usage = Usage(average, min(at_s, self.now_s))
            self._bring(book)

    def _book(self, queue: str, user: str) -> _Book:
        books = self._books.setdefault(queue, {})
        book = books.get(user)
        if book is None:
            book = books[user] = _Book(Usage(at_s=self.now_s))
        return book

    def _bring(self, book: _Book) -> None:
        book.usage = self._now(book)
        book.soon = None

    def _now(self, book: _Book) -> Usage:
        if book.usage.average or book.held:
            return advanced(book.usage, book.held, self.now_s, self.half_life_s)
        return Usage(at_s=self.now_s)

    def _total(self, books: Iterable[_Book]) -> Usage:
        total: dict[str, float] = {}
        for book in books:
            for resource, value in self._now(book).average.items():
                total[resource] = total.get(resource, 0.0) + value
        return Usage(total, self.now_s)

    def _merge(self, books: dict[str, _Book]) -> None:
        """Those that have had least, of too many that hold nothing, count as nobody in particular from now on."""
        idle = [user for user, book in books.items() if user != NOBODY and not book.held]
        if len(idle) <= MOST_USERS:
            return
        most = self._total(books.values()).average
        idle.sort(key=lambda user: (dominant(books[user].usage.average, most), user))
        merged = [books.pop(user) for user in idle[:-MOST_USERS]]
        nobody = books.setdefault(NOBODY, _Book(Usage(at_s=self.now_s)))
        nobody.usage = self._total([nobody, *merged])
        nobody.soon = None
