"""Placement rules as rows: a cluster, those who wait, and where they go or why they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.attempts import why_no_node
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import by_usual, describe, mig, placed, pod


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[NodeFacts]
    pods: Sequence[PodRequest]
    go: Mapping[str, str] = field(default_factory=dict)
    """Pod name to `describe`d place."""
    wait: Mapping[str, str] = field(default_factory=dict)
    """Pod name to dominant reason."""
    bound: Sequence[tuple[PodRequest, str]] = ()
    running: Sequence[tuple[PodRequest, str]] = ()
    """Bound, and taken in by kubelet."""


USUAL = [
    *(pod("one", gpu=1, cpu=8, memory_gib=64) for _ in range(4)),
    pod("two", gpu=2, cpu=16, memory_gib=128),
    pod("eight", gpu=8, cpu=64, memory_gib=512),
    *(pod("small", wants={mig("1g.10gb"): 1}, cpu=1, memory_gib=8) for _ in range(4)),
    *(pod("half", wants={mig(profile): 1}, cpu=4, memory_gib=32) for profile in ("3g.40gb", "4g.40gb")),
]


def decide(case: Case, policies: Policies) -> tuple[dict[str, str], dict[str, str]]:
    snapshot, pending, rankings = Snapshot(), Pending(policies.order), Rankings(policies)
    for facts in case.nodes:
        snapshot.set_facts(facts)
    for request, where in case.bound:
        snapshot.set_pod(placed(request, where))
    for request, where in case.running:
        snapshot.set_pod(placed(request, where, admitted=True))
    for request in case.pods:
        pending.put(request)
    outcome = cycle.run(snapshot, pending, rankings)
    go = {bind.pod.key.removeprefix("default/"): describe(bind.placed) for bind in outcome.binds}
    wait = {
        key.removeprefix("default/"): why_no_node(snapshot, request.shape, rankings).message
        for key, request in pending.pods.items()
    }
    return go, wait


def check(case: Case) -> None:
    """Rules hold whether or not it is known yet what pods usually ask for."""
    for policies in (Policies(), by_usual(USUAL, case.nodes)):
        assert decide(case, policies) == (dict(case.go), dict(case.wait))


def rows(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.rule)
