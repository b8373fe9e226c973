from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.queues import tariff
from aliquot.scheduler.core.queues.tariff import Makes, boards_of, counted_of
from aliquot.scheduler.testing import node

PRODUCT = "nvidia.com/gpu.product"


def hopper(name: str) -> NodeFacts:
    return node(name, "", "", cut="h100-80gb", labels={PRODUCT: "H100"})


def ampere(name: str) -> NodeFacts:
    return node(name, "", cut="a100-40gb", labels={PRODUCT: "A100"})


def counted(name: str) -> NodeFacts:
    """It lists none of its GPUs."""
    return replace(node(name, gpus=1, labels={PRODUCT: "T4"}), devices=node(name, gpus=0).devices)


def bare(name: str) -> NodeFacts:
    return node(name, gpus=0)


KINDS = [hopper, ampere, counted, bare, None]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(KINDS)), min_size=1, max_size=3),
        max_size=8,
    )
)
def test_makes_have_changed_when_those_of_all_nodes_are_others(
    groups: list[list[tuple[str, object]]],
) -> None:
    makes, nodes = Makes(), dict[str, NodeFacts]()
    before: set[object] = set()
    for group in groups:
        changed: dict[str, NodeFacts | None] = {}
        for name, kind in group:
            changed[name] = kind(name) if callable(kind) else None
            nodes.pop(name, None)
            if (facts := changed[name]) is not None:
                nodes[name] = facts
        now = boards_of(nodes).keys() | counted_of(nodes)
        assert makes.look(changed) is (now != before)
        before = set(now)


def test_a_node_that_changes_is_looked_at_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    makes_of = tariff.makes_of

    def counting(facts: NodeFacts) -> frozenset[object]:
        looked.append(facts.name)
        return makes_of(facts)

    monkeypatch.setattr(tariff, "makes_of", counting)
    makes = Makes()
    assert makes.look({f"n{number}": hopper(f"n{number}") for number in range(100)})
    looked.clear()
    for number in range(100):
        assert not makes.look({f"n{number}": hopper(f"n{number}")})
    assert looked == [f"n{number}" for number in range(100)]
