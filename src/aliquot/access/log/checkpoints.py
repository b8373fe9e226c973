"""The log's head, signed (c2sp.org/tlog-checkpoint). Nothing is signed that does not go on from what was signed before."""

from base64 import b64encode
from collections.abc import Sequence

from msgspec import Struct

from aliquot.access.log.notes import SigningKey
from aliquot.access.log.proofs import consistency, is_consistent
from aliquot.access.log.storage import LogStore, SignedCheckpoint
from aliquot.access.log.tree import Tree
from aliquot.access.log.verify import (
    Checkpoint,
    Key,
    parse_checkpoint,
    parse_note,
    signers,
)


class Inconsistent(Exception):
    """The stored tree does not go on from a checkpoint that was signed: somebody changed what is stored."""


class Pace(Struct, frozen=True, kw_only=True):
    """How far checkpoints may be behind the log."""

    most_entries: int = 100
    most_s: float = 10.0

    def is_due(self, size: int, signed: int, signed_at_s: float, now_s: float) -> bool:
        behind = size - signed
        return behind >= self.most_entries or (behind > 0 and now_s - signed_at_s >= self.most_s)


def text_of(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.origin}\n{checkpoint.size}\n{b64encode(checkpoint.root).decode()}\n"


def sign(tree: Tree, key: SigningKey, previous: Checkpoint | None, proof: Sequence[bytes]) -> str:
    """A note over the tree, of the log that is named as its key is. `proof`: of consistency with the checkpoint signed before.

    Raises Inconsistent.
    """
    new = Checkpoint(key.name, tree.size, tree.root)
    if previous is not None and not is_consistent(previous.size, new.size, previous.root, new.root, proof):
        raise Inconsistent(
            f"the stored log, of {new.size} entries, does not go on from the checkpoint of {previous.size} that was signed before:"
            " nothing is signed until somebody has looked (aliquot access log verify)"
        )
    text = text_of(new)
    return f"{text}\n{key.sign(text)}"


def sign_head(
    store: LogStore, key: SigningKey, now_s: float, earlier_keys: Sequence[Key] = ()
) -> SignedCheckpoint | None:
    """The log as it is now, signed and stored; None: it was already. Show it to nobody before the transaction is committed.

    Raises Inconsistent.
    """
    tree, last = store.head().tree, store.last_checkpoint()
    if last is not None and last.size == tree.size:
        return None
    previous, proof = None, []
    if last is not None:
        try:
            previous = open_checkpoint(last.note, [key.public, *earlier_keys])
            plan = consistency(previous.size, tree.size)
            proof = plan.proof(store.nodes(plan.nodes))
        except ValueError as error:
            raise Inconsistent(f"the stored checkpoint of {last.size} entries: {error}") from error
        except KeyError as error:
            raise Inconsistent(f"of the stored tree {error.args[0]} is missing") from error
    signed = SignedCheckpoint(tree.size, now_s, sign(tree, key, previous, proof))
    store.put_checkpoint(signed)
    return signed


def open_checkpoint(note: str, keys: Sequence[Key]) -> Checkpoint:
    """One that at least one of `keys` signed. Raises ValueError."""
    parsed = parse_note(note)
    if not signers(parsed, keys):
        raise ValueError(f"it is not signed by {', '.join(sorted({key.name for key in keys}))}")
    return parse_checkpoint(parsed.text)


def with_cosignatures(note: str, lines: str, witnesses: Sequence[Key]) -> str:
    """The note with those signatures of `lines` that a witness of ours made. Raises ValueError: one is forged, or none is theirs."""
    text = parse_note(note).text
    answered = parse_note(f"{text}\n{lines}")
    made = [
        line
        for line, one in zip(lines[:-1].split("\n"), answered.signatures, strict=True)
        if any((one.name, one.key_id) == (witness.name, witness.id) for witness in witnesses)
    ]
    if not made:
        raise ValueError("no witness of ours signed it")
    signers(answered, witnesses)
    return note + "".join(f"{line}\n" for line in made if f"{line}\n" not in note)
