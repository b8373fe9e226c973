"""A witness: it judges, remembers, and only then signs."""

from collections.abc import Iterable, Mapping, Sequence

from aliquot.access.log.notes import SigningKey
from aliquot.access.log.verify import Checkpoint, Kept, Key, verify
from aliquot.access.log.witness.judging import Refused, judge, opened
from aliquot.access.log.witness.record import Record
from aliquot.access.log.witness.request import parse
from aliquot.clock import Clock


class Witness:
    """`logs`: origin -> the keys that sign for it."""

    def __init__(
        self, key: SigningKey, logs: Mapping[str, Sequence[Key]], record: Record, clock: Clock
    ) -> None:
        self._key, self._logs, self._record, self._clock = key, logs, record, clock

    def add_checkpoint(self, body: bytes) -> str:
        """A signature line for what a log asks. Raises Refused, record.Damaged, OSError."""
        try:
            asked = parse(body)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        note, new = opened(asked.note, self._logs)
        with self._record.locked():
            judge(asked, new, self._record.last(new.origin))
            return self._signed(asked.note, note.text, new)

    def see_dump(self, origin: str, lines: Iterable[bytes]) -> tuple[str, Checkpoint]:
        """A signature line for the last checkpoint of a dump, and that checkpoint. All that the dump says is checked, from the first
        entry on. Raises Refused, verify.Wrong, record.Damaged, OSError.
        """
        keys = self._logs[origin]
        last = self._record.last(origin)
        found = verify(lines, keys, kept=[] if last is None else [Kept("what was signed here before", last)])
        if not found.checkpoints:
            raise Refused(400, "the dump has no checkpoint to sign")
        note, new = opened(found.note, {origin: keys})
        if last is not None and new.size < last.size:
            raise Refused(409, f"the last checkpoint of the dump is of {new.size} entries", last.size)
        with self._record.locked():
            # It was long ago that it was read.
            if self._record.last(origin) != last:
                raise Refused(409, "another checkpoint was signed meanwhile: try again")
            return self._signed(found.note, note.text, new), new

    def _signed(self, whole: str, text: str, new: Checkpoint) -> str:
        line = self._key.cosign(text, int(self._clock.now()))
        self._record.keep(new.origin, whole)
        return line
