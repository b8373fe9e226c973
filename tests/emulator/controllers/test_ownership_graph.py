import pytest

from aliquot.emulator.controllers.ownership_graph import (
    FOREGROUND,
    ORPHAN,
    AwaitDependents,
    Delete,
    Disown,
    Finish,
    Graph,
    Keep,
    Orphan,
    OwnerState,
    Ref,
    Verdict,
    judge,
    reaches,
)
from aliquot.kube.api.meta import ObjectMeta, OwnerReference
from aliquot.kube.client import Propagation
from aliquot.kube.resources import NODES, PODS, REPLICASETS

THERE, ABSENT, WAITING, UNKNOWN = (
    OwnerState.THERE,
    OwnerState.ABSENT,
    OwnerState.WAITING,
    OwnerState.UNKNOWN,
)


def owned(
    *owners: str, blocking: bool = True, finalizers: tuple[str, ...] = (), deleted: bool = False
) -> ObjectMeta:
    references = tuple(
        OwnerReference(
            api_version="apps/v1", kind="ReplicaSet", name=uid, uid=uid, block_owner_deletion=blocking
        )
        for uid in owners
    )
    return ObjectMeta(
        name="x",
        namespace="ns",
        uid="x",
        owner_references=references,
        finalizers=finalizers,
        deletion_timestamp="2026-01-01T00:00:00Z" if deleted else None,
    )


BACKGROUND = Delete(Propagation.BACKGROUND)


@pytest.mark.parametrize(
    ("metadata", "owners", "dependents", "expected"),
    [
        (owned(), {}, [], Keep()),
        (owned("a"), {"a": THERE}, [], Keep()),
        (owned("a"), {"a": ABSENT}, [], BACKGROUND),
        (owned("a"), {"a": UNKNOWN}, [], Keep()),
        (owned("a", "b"), {"a": ABSENT, "b": UNKNOWN}, [], Keep()),
        (owned("a", "b"), {"a": ABSENT, "b": THERE}, [], Disown(("a",))),
        (owned("a", "b"), {"a": WAITING, "b": THERE}, [], Disown(("a",))),
        (owned("a", "b"), {"a": ABSENT, "b": ABSENT}, [], BACKGROUND),
        (owned("a"), {"a": WAITING}, [], BACKGROUND),
        (owned("a"), {"a": WAITING}, [owned("x")], Delete(Propagation.FOREGROUND)),
        (owned("a", finalizers=(ORPHAN,)), {"a": ABSENT}, [], Delete(Propagation.ORPHAN)),
        (owned("a", finalizers=(FOREGROUND,)), {"a": ABSENT}, [], Delete(Propagation.FOREGROUND)),
        (owned(finalizers=("other",), deleted=True), {}, [owned("x")], Keep()),
        (owned(finalizers=(FOREGROUND,), deleted=True), {}, [], Finish(FOREGROUND)),
        (owned(finalizers=(FOREGROUND,), deleted=True), {}, [owned("x")], AwaitDependents()),
        (owned(finalizers=(FOREGROUND,), deleted=True), {}, [owned("x", blocking=False)], Finish(FOREGROUND)),
        (owned(finalizers=(ORPHAN,), deleted=True), {}, [owned("x")], Orphan()),
    ],
)
def test_what_becomes_of_an_object(
    metadata: ObjectMeta, owners: dict[str, OwnerState], dependents: list[ObjectMeta], expected: Verdict
) -> None:
    assert judge(metadata, owners, dependents) == expected


def test_graph_follows_changes_of_owners() -> None:
    graph = Graph()
    ref = Ref(PODS, "ns/x")
    graph.put(ref, owned("a", "b"))
    assert [found for found, _ in graph.dependents("a")] == [ref]
    graph.put(ref, owned("b"))
    assert graph.dependents("a") == []
    assert [found for found, _ in graph.dependents("b")] == [ref]
    graph.drop("x")
    assert graph.dependents("b") == []
    assert graph.find("x") is None
    assert graph.at(ref) is None


@pytest.mark.parametrize(
    ("owner", "namespace", "expected"),
    [
        (Ref(REPLICASETS, "ns/a"), "ns", True),
        (Ref(REPLICASETS, "other/a"), "ns", False),
        (Ref(REPLICASETS, "ns/b"), "ns", False),
        (Ref(NODES, "a"), "ns", False),
    ],
)
def test_owners_are_of_the_same_namespace(owner: Ref, namespace: str, expected: bool) -> None:
    reference = OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="a", uid="a")
    assert reaches(reference, owner, namespace) is expected


def test_cluster_scoped_owners_reach_everywhere() -> None:
    reference = OwnerReference(api_version="v1", kind="Node", name="n", uid="n")
    assert reaches(reference, Ref(NODES, "n"), "ns")
