"""One entry shown to somebody without the rest of the log: its bytes, and a proof that it is in a signed log (c2sp.org/tlog-proof)."""

import re
from base64 import b64encode
from collections.abc import Sequence

from msgspec import Struct

from aliquot.access.log.proofs import inclusion, is_included
from aliquot.access.log.storage import LogStore
from aliquot.access.log.tree import leaf_hash
from aliquot.access.log.verify import (
    Checkpoint,
    Key,
    from_base64,
    parse_checkpoint,
    parse_note,
    signers,
)

_FIRST_LINE = "c2sp.org/tlog-proof@v1"
_MOST_HASHES = 63


class Proof(Struct, frozen=True):
    index: int
    path: tuple[bytes, ...]
    note: str
    """The checkpoint, with all its signatures."""


def prove(store: LogStore, seq: int, note: str) -> str:
    """By a checkpoint of ours that covers it. Raises ValueError: it does not."""
    plan = inclusion(seq, parse_checkpoint(parse_note(note).text).size)
    hashes = [b64encode(hash_).decode() for hash_ in plan.proof(store.nodes(plan.nodes))]
    return "\n".join([_FIRST_LINE, f"index {seq}", *hashes, "", note])


def parse(text: str) -> Proof:
    """Raises ValueError."""
    head, separator, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if lines and lines[0].startswith("extra "):
        # Others' data; it is not signed.
        lines = lines[1:]
    if first != _FIRST_LINE or not separator or not lines:
        raise ValueError(f"it is no proof: the first line is {_FIRST_LINE}")
    index, *path = lines
    if not re.fullmatch(r"index (0|[1-9][0-9]{0,17})", index, re.ASCII):
        raise ValueError(f"{index!r} is no index of an entry")
    if len(path) > _MOST_HASHES:
        raise ValueError(f"a proof has at most {_MOST_HASHES} hashes")
    return Proof(int(index.removeprefix("index ")), tuple(from_base64(line) for line in path), note)


def check(proof: Proof, body: bytes, keys: Sequence[Key], witnesses: Sequence[Key] = ()) -> Checkpoint:
    """The checkpoint of the log that these bytes are an entry of: signed by one of `keys`, and by all `witnesses`. Raises ValueError."""
    note = parse_note(proof.note)
    checkpoint = parse_checkpoint(note.text)
    signed = signers(note, keys)
    if checkpoint.origin not in {key.name for key in signed}:
        raise ValueError(f"the checkpoint is not signed by the key of {checkpoint.origin}")
    seen = signers(note, witnesses)
    for witness in witnesses:
        if witness not in seen:
            raise ValueError(f"the checkpoint is not signed by the witness {witness.name}")
    if not is_included(leaf_hash(body), proof.index, checkpoint.size, checkpoint.root, proof.path):
        raise ValueError(f"this is not entry {proof.index} of {checkpoint.origin}")
    return checkpoint
