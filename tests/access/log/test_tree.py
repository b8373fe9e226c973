from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.access.log.proofs import (
    consistency,
    inclusion,
    is_consistent,
    is_included,
)
from aliquot.access.log.tree import Node, Tree, covering, joined, leaf_hash
from tests.access.log import reference


def grown(data: Sequence[bytes]) -> tuple[Tree, dict[Node, bytes]]:
    tree, stored = Tree().append(leaf_hash(one) for one in data)
    return tree, {one.node: one.hash for one in stored}


leaves = st.lists(st.binary(max_size=4), max_size=70)
some = st.integers(0, 1 << 30)


@pytest.mark.parametrize(("size", "root"), list(enumerate(reference.ROOTS)))
def test_roots_of_certificate_transparency(size: int, root: str) -> None:
    assert grown(reference.LEAVES[:size])[0].root.hex() == root


@pytest.mark.parametrize(("index", "size", "path"), reference.INCLUSION)
def test_inclusion_proofs_of_certificate_transparency(index: int, size: int, path: list[str]) -> None:
    _, nodes = grown(reference.LEAVES)
    found = inclusion(index, size).proof(nodes)
    assert [one.hex() for one in found] == path
    root = bytes.fromhex(reference.ROOTS[size])
    assert is_included(leaf_hash(reference.LEAVES[index]), index, size, root, found)


@pytest.mark.parametrize(("first", "second", "path"), reference.CONSISTENCY)
def test_consistency_proofs_of_certificate_transparency(first: int, second: int, path: list[str]) -> None:
    _, nodes = grown(reference.LEAVES)
    found = consistency(first, second).proof(nodes)
    assert [one.hex() for one in found] == path
    before, after = (bytes.fromhex(reference.ROOTS[size]) for size in (first, second))
    assert is_consistent(first, second, before, after, found)


@given(leaves, some)
def test_a_tree_is_the_same_however_it_was_appended_to(data: list[bytes], cut: int) -> None:
    cut %= len(data) + 1
    tree, first = Tree().append(leaf_hash(one) for one in data[:cut])
    tree, second = tree.append(leaf_hash(one) for one in data[cut:])
    assert tree.root == reference.root(data)
    assert {one.node: one.hash for one in [*first, *second]} == grown(data)[1]


@given(leaves)
def test_each_stored_node_is_the_root_of_its_leaves(data: list[bytes]) -> None:
    _, nodes = grown(data)
    for node, hash_ in nodes.items():
        start = node.position << node.level
        assert hash_ == reference.root(data[start : start + (1 << node.level)])
    assert len(nodes) <= 2 * len(data)


@given(leaves, some)
def test_a_head_is_read_from_stored_nodes(data: list[bytes], size: int) -> None:
    size %= len(data) + 1
    _, nodes = grown(data)
    peaks = [nodes[node] for node in covering(0, size)]
    assert joined(peaks) == reference.root(data[:size])
    assert Tree(size, tuple(peaks)) == grown(data[:size])[0]
    assert len(peaks) == size.bit_count()


@given(leaves, some, some)
def test_inclusion_as_in_the_rfc(data: list[bytes], index: int, size: int) -> None:
    size %= len(data) + 1
    if not size:
        return
    index %= size
    _, nodes = grown(data)
    found = inclusion(index, size).proof(nodes)
    assert found == reference.path(index, data[:size])
    assert is_included(leaf_hash(data[index]), index, size, reference.root(data[:size]), found)


@given(leaves, some, some)
def test_consistency_as_in_the_rfc(data: list[bytes], first: int, second: int) -> None:
    second %= len(data) + 1
    first %= second + 1
    _, nodes = grown(data)
    found = consistency(first, second).proof(nodes)
    assert found == reference.proof(first, data[:second])
    roots = reference.root(data[:first]), reference.root(data[:second])
    assert is_consistent(first, second, *roots, found)


@given(
    st.lists(st.integers(0, 1 << 40).map(str).map(str.encode), min_size=2, max_size=40), some, some, st.data()
)
def test_a_damaged_proof_proves_nothing(
    data: list[bytes], index: int, first: int, draw: st.DataObject
) -> None:
    size = len(data)
    index %= size
    first = 1 + first % (size - 1)
    _, nodes = grown(data)
    root = reference.root(data)
    path, steps = inclusion(index, size).proof(nodes), consistency(first, size).proof(nodes)
    for found in (path, steps):
        how = draw.draw(st.sampled_from(["flip", "drop", "add", "swap"]))
        at = draw.draw(st.integers(0, max(0, len(found) - 1)))
        before = list(found)
        if how == "add" or not found:
            found.insert(at, b"\x00" * 32)
        elif how == "drop":
            del found[at]
        elif how == "flip":
            found[at] = bytes([found[at][0] ^ 1]) + found[at][1:]
        else:
            found[0], found[at] = found[at], found[0]
        if found == before:
            found.append(root)
    assert not is_included(leaf_hash(data[index]), index, size, root, path)
    assert not is_consistent(first, size, reference.root(data[:first]), root, steps)


@given(leaves.filter(len), some)
def test_no_other_entry_is_proven(data: list[bytes], index: int) -> None:
    size = len(data)
    index %= size
    _, nodes = grown(data)
    found = inclusion(index, size).proof(nodes)
    root = reference.root(data)
    assert not is_included(leaf_hash(b"another"), index, size, root, found)
    assert not is_included(leaf_hash(data[index]), index + size, size, root, found)
    assert not is_included(leaf_hash(data[index]), -1, size, root, found)


@given(leaves.filter(len), some, st.binary(min_size=5, max_size=5))
def test_a_rewritten_tree_is_not_consistent(data: list[bytes], where: int, other: bytes) -> None:
    first = 1 + where % len(data)
    written_anew = [*data]
    written_anew[where % first] = other
    longer = [*written_anew, b"more"]
    _, nodes = grown(longer)
    found = consistency(first, len(longer)).proof(nodes)
    roots = reference.root(data[:first]), reference.root(longer)
    assert not is_consistent(first, len(longer), *roots, found)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_what_is_not_in_a_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"a tree of {size} entries has no entry {index}"):
        inclusion(index, size)


@pytest.mark.parametrize(("first", "second"), [(-1, 3), (4, 3)])
def test_a_tree_was_never_longer(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="never had"):
        consistency(first, second)
    assert not is_consistent(first, second, b"", b"", [])


def test_a_proof_of_a_smaller_tree_is_none_of_a_larger() -> None:
    first, second = (leaf_hash(one) for one in reference.LEAVES[:2])
    root = bytes.fromhex(reference.ROOTS[2])
    assert is_included(first, 0, 2, root, [second])
    assert is_consistent(1, 2, first, root, [second])
    for size in (3, 4, 5, 8):
        assert not is_included(first, 0, size, root, [second])
        assert not is_consistent(1, size, first, root, [second])
    assert not is_included(first, 0, 2, first, [])


def test_a_proof_of_a_larger_tree_is_none_of_a_smaller() -> None:
    first, second = (leaf_hash(one) for one in reference.LEAVES[:2])
    assert not is_included(second, 0, 1, bytes.fromhex(reference.ROOTS[2]), [first])
