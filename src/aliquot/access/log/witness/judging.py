"""Whether a witness signs, decided over plain data, with the status that c2sp.org/tlog-witness gives each refusal."""

from collections.abc import Mapping, Sequence

from aliquot.access.log.proofs import is_consistent
from aliquot.access.log.verify import (
    Checkpoint,
    Key,
    Note,
    parse_checkpoint,
    parse_note,
    signers,
)
from aliquot.access.log.witness.request import AddCheckpoint


class Refused(Exception):
    """`size`: of the last checkpoint that was signed, where the log asked from another."""

    def __init__(self, status: int, text: str, size: int | None = None) -> None:
        super().__init__(text)
        self.status, self.size = status, size


def opened(note: str, logs: Mapping[str, Sequence[Key]]) -> tuple[Note, Checkpoint]:
    """A checkpoint of one of the logs (origin -> its keys) that its log signed. Raises Refused."""
    try:
        parsed = parse_note(note)
        checkpoint = parse_checkpoint(parsed.text)
    except ValueError as error:
        raise Refused(400, f"the checkpoint: {error}") from error
    keys = logs.get(checkpoint.origin)
    if keys is None:
        raise Refused(404, f"the log {checkpoint.origin!r} is not known here")
    try:
        signed = signers(parsed, keys)
    except ValueError as error:
        raise Refused(403, str(error)) from error
    if not signed:
        raise Refused(403, f"it is not signed by a key of {checkpoint.origin}")
    return parsed, checkpoint


def judge(asked: AddCheckpoint, new: Checkpoint, last: Checkpoint | None) -> None:
    """`last`: what was signed of this log before. Raises Refused."""
    size = last.size if last is not None else 0
    if asked.old > new.size:
        raise Refused(400, f"a log of {new.size} entries never had {asked.old}")
    if asked.old != size:
        raise Refused(409, f"{size} entries were seen before, not {asked.old}", size)
    if last is None:
        if asked.proof:
            raise Refused(422, "nothing was seen before, so there is nothing to prove")
        return
    if new.size == last.size and new.root != last.root:
        raise Refused(409, f"FORK: {new.origin} has signed two different logs of {size} entries", size)
    if not is_consistent(last.size, new.size, last.root, new.root, asked.proof):
        raise Refused(
            422, f"the log of {new.size} entries does not go on from the {size} that were seen before"
        )
