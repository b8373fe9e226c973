"""What a log asks a witness, `add-checkpoint`: the size that the witness has seen, a consistency proof from there, the new checkpoint."""

import re
from base64 import b64encode
from collections.abc import Sequence

from msgspec import Struct

from aliquot.access.log.proofs import consistency
from aliquot.access.log.storage import LogStore
from aliquot.access.log.verify import from_base64, parse_checkpoint, parse_note

MOST_PROOF_LINES = 63
MOST_REQUEST_BYTES = 1 << 16


class AddCheckpoint(Struct, frozen=True):
    old: int
    proof: tuple[bytes, ...]
    note: str


def parse(body: bytes) -> AddCheckpoint:
    """Raises ValueError."""
    head, separator, note = body.decode().partition("\n\n")
    old, *lines = head.split("\n")
    if not separator or not re.fullmatch(r"old (0|[1-9][0-9]{0,17})", old, re.ASCII):
        raise ValueError("it begins with 'old SIZE', lines of a proof, and an empty line")
    if len(lines) > MOST_PROOF_LINES:
        raise ValueError(f"a proof has at most {MOST_PROOF_LINES} lines")
    proof = tuple(from_base64(line) for line in lines)
    if any(len(hash_) != 32 for hash_ in proof):
        raise ValueError("a line of the proof is no SHA-256 hash")
    return AddCheckpoint(int(old.removeprefix("old ")), proof, note)


def spelled(old: int, proof: Sequence[bytes], note: str) -> bytes:
    lines = [f"old {old}", *(b64encode(hash_).decode() for hash_ in proof), "", note]
    return "\n".join(lines).encode()


def asking(store: LogStore, note: str, old: int) -> bytes:
    """To sign a checkpoint of ours, for a witness that has seen the first `old` entries (0: it may not know us yet).

    Raises ValueError: it has seen more than there is.
    """
    plan = consistency(old, parse_checkpoint(parse_note(note).text).size)
    return spelled(old, plan.proof(store.nodes(plan.nodes)), note)
