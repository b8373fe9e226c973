"""The Merkle tree of RFC 6962 (and 9162, which hashes the same way), as nodes that a table can hold.

Only nodes over 2^level leaves that are all there are stored: such a node never changes. Appending takes the hashes of the O(log n)
largest of them, the *peaks*; everything else is joined from stored nodes when it is asked for.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from msgspec import Struct

EMPTY_ROOT = sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Node(Struct, frozen=True, order=True):
    """The whole subtree over the leaves from `position * 2**level` up to the next position's."""

    level: int
    position: int


class StoredNode(Struct, frozen=True):
    node: Node
    hash: bytes


class Tree(Struct, frozen=True):
    """A tree's head: all that appending needs. `peaks` are the hashes of `covering(0, size)`."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaves: Iterable[bytes]) -> "tuple[Tree, list[StoredNode]]":
        """`leaves` are hashes. With the tree come the nodes to store: on average two for each leaf."""
        size, peaks, stored = self.size, list(self.peaks), []
        for leaf in leaves:
            stored.append(StoredNode(Node(0, size), leaf))
            level, position, joined = 0, size, leaf
            while position & 1:
                joined = node_hash(peaks.pop(), joined)
                level, position = level + 1, position >> 1
                stored.append(StoredNode(Node(level, position), joined))
            peaks.append(joined)
            size += 1
        return Tree(size, tuple(peaks)), stored

    @property
    def root(self) -> bytes:
        return joined(self.peaks)


def covering(start: int, end: int) -> tuple[Node, ...]:
    """The fewest whole subtrees over the leaves from `start` up to `end`, from the left."""
    nodes = []
    while start < end:
        level = min((end - start).bit_length() - 1, (start & -start).bit_length() - 1 if start else 63)
        nodes.append(Node(level, start >> level))
        start += 1 << level
    return tuple(nodes)


def joined(peaks: Sequence[bytes]) -> bytes:
    """The hash over subtrees that grow smaller from the left: the root of their tree."""
    if not peaks:
        return EMPTY_ROOT
    *rest, hash_ = peaks
    for left in reversed(rest):
        hash_ = node_hash(left, hash_)
    return hash_
