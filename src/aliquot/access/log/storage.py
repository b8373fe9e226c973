"""Where the log is, as seen from within one transaction: what is appended there becomes durable with the change that it tells of.

That is the write-ahead rule: who carries out an effect reads it from what was committed, so its entry was there before. Where the
log cannot be written nothing is committed, and nothing new is granted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.log.entries import Draft, Opening, Sealed, sealed
from aliquot.access.log.tree import EMPTY_ROOT, Node, StoredNode, Tree, leaf_hash
from aliquot.clock import rfc3339_milli


class Head(Struct, frozen=True):
    """All that has to be known to append."""

    tree: Tree = Tree()
    last_leaf: bytes = EMPTY_ROOT
    last_time_s: float = 0.0


class Batch(Struct, frozen=True):
    entries: tuple[Sealed, ...]
    nodes: tuple[StoredNode, ...]
    head: Head
    """After it."""


class SignedCheckpoint(Struct, frozen=True):
    size: int
    at_s: float
    note: str


class LogStore(Protocol):
    """Of a transaction. Nobody else may append until it ends."""

    def head(self) -> Head: ...

    def append(self, batch: Batch) -> None: ...

    def entries(self, start: int, end: int) -> Iterator[Sealed]:
        """In order, without holding all of them. Openings that were erased are not there."""
        ...

    def nodes(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        """Those of them that there are."""
        ...

    def checkpoints(self, start: int, end: int) -> Iterator[SignedCheckpoint]:
        """Of sizes from `start` up to `end`, both included, in order."""
        ...

    def last_checkpoint(self) -> SignedCheckpoint | None: ...

    def put_checkpoint(self, checkpoint: SignedCheckpoint) -> None:
        """A later one of the same size replaces the earlier: it bears more signatures."""
        ...

    def erase(self, seq: int, name: str) -> None:
        """Forget a personal text and its salt."""
        ...


def seal(head: Head, drafts: Sequence[Draft], salt: Callable[[int], bytes]) -> Batch:
    """What to append. Time in the log does not run backwards: where a clock does, the last entry's time is kept.

    Raises entries.Unloggable; nothing is to be appended then.
    """
    last, last_time_s = head.last_leaf, head.last_time_s
    entries, leaves = [], []
    for seq, draft in enumerate(drafts, head.tree.size):
        last_time_s = max(last_time_s, draft.time_s)
        one = sealed(draft, seq, rfc3339_milli(last_time_s), digest(last), salt)
        last = leaf_hash(one.body)
        entries.append(one)
        leaves.append(last)
    tree, nodes = head.tree.append(leaves)
    return Batch(tuple(entries), tuple(nodes), Head(tree, last, last_time_s))


def digest(hash_: bytes) -> str:
    return f"sha256:{hash_.hex()}"


class MemoryLogStore:
    """For tests, and for where a log ends with its process."""

    def __init__(self) -> None:
        self._head = Head()
        self._entries: list[Sealed] = []
        """Without their openings."""
        self._openings: dict[int, dict[str, Opening]] = {}
        self._nodes: dict[Node, bytes] = {}
        self._checkpoints: dict[int, SignedCheckpoint] = {}

    def head(self) -> Head:
        return self._head

    def append(self, batch: Batch) -> None:
        if batch.head.tree.size != self._head.tree.size + len(batch.entries):
            raise ValueError(f"the log has {self._head.tree.size} entries, and the batch goes on from others")
        for entry in batch.entries:
            self._entries.append(replace(entry, openings=()))
            self._openings[entry.seq] = {one.name: one for one in entry.openings}
        self._nodes.update({stored.node: stored.hash for stored in batch.nodes})
        self._head = batch.head

    def entries(self, start: int, end: int) -> Iterator[Sealed]:
        for entry in self._entries[start:end]:
            yield replace(entry, openings=tuple(self._openings[entry.seq].values()))

    def nodes(self, wanted: Sequence[Node]) -> Mapping[Node, bytes]:
        return {node: self._nodes[node] for node in wanted if node in self._nodes}

    def checkpoints(self, start: int, end: int) -> Iterator[SignedCheckpoint]:
        for size in sorted(self._checkpoints):
            if start <= size <= end:
                yield self._checkpoints[size]

    def last_checkpoint(self) -> SignedCheckpoint | None:
        return self._checkpoints[max(self._checkpoints)] if self._checkpoints else None

    def put_checkpoint(self, checkpoint: SignedCheckpoint) -> None:
        self._checkpoints[checkpoint.size] = checkpoint

    def erase(self, seq: int, name: str) -> None:
        self._openings[seq].pop(name, None)
