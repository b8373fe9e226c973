"""Proofs that an entry is in a tree, and that a tree only grew (RFC 9162, 2.1.3 and 2.1.4).

A proof is planned first, as the stored nodes that it needs, so that whoever holds them can read all at once.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from aliquot.access.log.tree import EMPTY_ROOT, Node, covering, joined, node_hash


class Plan(Struct, frozen=True):
    """Of each hash in a proof, the stored nodes that it is joined from."""

    parts: tuple[tuple[Node, ...], ...]

    @property
    def nodes(self) -> list[Node]:
        return [node for part in self.parts for node in part]

    def proof(self, hashes: Mapping[Node, bytes]) -> list[bytes]:
        """Raises KeyError: a node is not there."""
        return [joined([hashes[node] for node in part]) for part in self.parts]


def inclusion(index: int, size: int) -> Plan:
    """That leaf `index` is in the tree of `size` leaves. Raises ValueError."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} entries has no entry {index}")
    ranges = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return _plan(reversed(ranges))


def consistency(first: int, second: int) -> Plan:
    """That the tree of `second` leaves begins with the whole tree of `first`. Raises ValueError."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} entries never had {first}")
    if first in (0, second):
        return Plan(())
    ranges = []
    start, end = 0, second
    whole = True
    """Whether the old tree is all that is left of the range, so that whoever checks knows its hash."""
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
            whole = False
    if not whole:
        ranges.append((start, end))
    return _plan(reversed(ranges))


def is_included(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    if not 0 <= index < size:
        return False
    hash_, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            hash_ = node_hash(sibling, hash_)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            hash_ = node_hash(hash_, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and hash_ == root


def is_consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    if not 0 <= first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for hash_ in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(hash_, old), node_hash(hash_, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, hash_)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(count: int) -> int:
    """The largest power of two below it."""
    return 1 << (count - 1).bit_length() - 1


def _plan(ranges: Iterable[tuple[int, int]]) -> Plan:
    return Plan(tuple(covering(start, end) for start, end in ranges))
