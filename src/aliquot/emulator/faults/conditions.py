"""What goes wrong whoever asks: a full disk, a clock that was set, a history that was forgotten."""

from aliquot.clock import Clock
from aliquot.emulator.storage.store import Store


class SteppedClock:
    """Another clock, off by `offset_s`: what an administrator or NTP does to a machine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_s = 0.0

    def now(self) -> float:
        return self._clock.now() + self.offset_s


class Conditions:
    def __init__(self, store: Store, clock: SteppedClock) -> None:
        self._store = store
        self._clock = clock

    def fill_disk(self, why: str = "database or disk is full") -> None:
        """Writes are refused until `free_disk`; reads and watches go on."""
        self._store.refuse_writes(why)

    def free_disk(self) -> None:
        self._store.refuse_writes("")

    def set_clock(self, offset_s: float) -> None:
        """Off by so much from the true time; 0 is right again."""
        self._clock.offset_s = offset_s

    def forget_history(self) -> None:
        """As after a compaction of etcd: a watch or a page of a list from an earlier revision is told 410."""
        self._store.forget_history()
