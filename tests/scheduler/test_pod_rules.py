"""Pod affinity, anti-affinity and topology spread: each row is what Kubernetes documents of one rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from aliquot.kube.api.core import Pod
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.reasons import Kind
from aliquot.scheduler.testing import node
from tests.scheduler.placing import Cluster, even, pod, term

HOST = "kubernetes.io/hostname"
A, B, C = (node(name, labels={"zone": zone}) for name, zone in (("a", "1"), ("b", "1"), ("c", "2")))
ZONES = (A, B, C)


@dataclass(frozen=True)
class Case:
    rule: str
    running: Mapping[str, Sequence[Pod]]
    pods: Sequence[Pod]
    go: Mapping[str, str] = field(default_factory=dict)
    wait: Mapping[str, Kind] = field(default_factory=dict)
    nodes: Sequence[NodeFacts] = ZONES
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def rows(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.rule)


def check(case: Case) -> None:
    cluster = Cluster(case.nodes, case.running, case.namespaces)
    cluster.wait(case.pods)
    go = cluster.decide()
    wait = {name: told.kind for name, told in cluster.why().items()}
    assert (go, wait) == (dict(case.go), dict(case.wait))


def some(labels: str, count: int, **more: Any) -> list[Pod]:
    return [pod(f"r{labels}{number}", labels, **more) for number in range(count)]


WEB = "app=web"
DB = "app=db"


@rows(
    Case("affinity: only where such a pod runs", {"c": some(DB, 1)}, [pod("p", near=[term(DB)])], {"p": "c"}),
    Case(
        "affinity: any node of the domain will do",
        {"a": [*some(DB, 1), pod("big", cpu="63")]},
        [pod("p", cpu="4", near=[term(DB)])],
        {"p": "b"},
    ),
    Case(
        "affinity: nobody there to be near to",
        {},
        [pod("p", near=[term(DB)])],
        wait={"p": Kind.POD_AFFINITY},
    ),
    Case(
        "affinity: the first of a set that is near to itself may go anywhere, the others follow",
        {},
        [pod("p", WEB, near=[term(WEB, HOST)]), pod("q", WEB, near=[term(WEB, HOST)])],
        {"p": "a", "q": "a"},
    ),
    Case(
        "affinity: the first of its kind needs the topology key all the same",
        {},
        [pod("p", WEB, near=[term(WEB, "rack")])],
        wait={"p": Kind.POD_AFFINITY},
    ),
    Case(
        "affinity: not the first, where one runs",
        {"c": some(WEB, 1)},
        [pod("p", WEB, near=[term(WEB)])],
        {"p": "c"},
    ),
    Case(
        "affinity: the first must be selected by every term",
        {},
        [pod("p", WEB, near=[term(WEB), term(DB)])],
        wait={"p": Kind.POD_AFFINITY},
    ),
    Case(
        "affinity: one pod must be selected by all terms",
        {"a": some(WEB, 1), "b": some("tier=1", 1), "c": some("app=web tier=1", 1)},
        [pod("p", near=[term(WEB), term("tier=1")])],
        {"p": "c"},
    ),
    Case(
        "affinity: terms with two keys need a pod in both domains",
        {"a": some(DB, 1)},
        [pod("p", near=[term(DB), term(DB, HOST)])],
        {"p": "a"},
    ),
    Case(
        "affinity: a node without the key is in no domain",
        {"x": some(DB, 1)},
        [pod("p", near=[term(DB)])],
        wait={"p": Kind.POD_AFFINITY},
        nodes=[node("x"), *ZONES],
    ),
    Case(
        "affinity: a pod being deleted still counts",
        {"c": some(DB, 1, leaves=True)},
        [pod("p", near=[term(DB)])],
        {"p": "c"},
    ),
    Case(
        "affinity: a pod that comes later in the line opens the node",
        {},
        [pod("p", near=[term(DB)]), pod("q", DB, nodeSelector={"zone": "2"})],
        {"p": "c", "q": "c"},
    ),
    Case("no selector selects nobody", {"a": some(DB, 1)}, [pod("p", apart=[term(None)])], {"p": "b"}),
    Case(
        "an empty selector selects every pod of the namespace",
        {"a": some(DB, 1), "c": some(WEB, 1, namespace="other")},
        [pod("p", apart=[term("")])],
        {"p": "c"},
    ),
)
def test_affinity(case: Case) -> None:
    check(case)


@rows(
    Case("anti-affinity: not where one runs", {"a": some(DB, 1)}, [pod("p", apart=[term(DB)])], {"p": "c"}),
    Case(
        "anti-affinity: by host name",
        {"a": some(DB, 1), "c": some(DB, 1)},
        [pod("p", apart=[term(DB, HOST)])],
        {"p": "b"},
    ),
    Case(
        "anti-affinity: one of each term is enough to keep it out",
        {"a": some(DB, 1), "c": some(WEB, 1)},
        [pod("p", apart=[term(DB), term(WEB)])],
        wait={"p": Kind.POD_ANTI_AFFINITY},
    ),
    Case(
        "anti-affinity: one for each domain",
        {},
        [pod(name, WEB, apart=[term(WEB)]) for name in "pqr"],
        {"p": "a", "q": "c"},
        {"r": Kind.POD_ANTI_AFFINITY},
    ),
    Case(
        "anti-affinity: a node without the key is in no domain, and may be taken",
        {"a": some(DB, 1), "c": some(DB, 1)},
        [pod("p", apart=[term(DB)])],
        {"p": "x"},
        nodes=[*ZONES, node("x")],
    ),
    Case(
        "symmetry: those that run keep others out",
        {"a": [pod("r", DB, apart=[term(WEB)])]},
        [pod("p", WEB), pod("q")],
        {"p": "c", "q": "b"},
    ),
    Case(
        "symmetry: everywhere",
        {"a": [pod("r", apart=[term(WEB)])], "c": [pod("s", apart=[term(WEB)])]},
        [pod("p", WEB)],
        wait={"p": Kind.KEPT_OUT},
    ),
    Case(
        "symmetry: one placed a moment ago keeps others out as well",
        {},
        [pod("p", DB, apart=[term(WEB)]), pod("q", WEB)],
        {"p": "a", "q": "c"},
    ),
    Case(
        "symmetry: there is none of required affinity",
        {"a": [pod("r", near=[term(WEB)])]},
        [pod("p", WEB, cpu="2", nodeSelector={"zone": "2"})],
        {"p": "c"},
    ),
    Case(
        "symmetry: within the namespace of those that run",
        {"a": [pod("r", namespace="other", apart=[term(WEB)])]},
        [pod("p", WEB, nodeSelector={HOST: "a"})],
        {"p": "a"},
    ),
)
def test_anti_affinity(case: Case) -> None:
    check(case)


TEAMS = {"default": {}, "red": {"team": "r"}, "blue": {"team": "b"}}
BY_TEAM: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"team": "r"}}}


@rows(
    Case(
        "namespaces: the pod's own unless others are named",
        {"a": some(DB, 1, namespace="red"), "c": some(DB, 1)},
        [pod("own", near=[term(DB)]), pod("named", near=[term(DB, namespaces=["red"])])],
        {"own": "c", "named": "b"},
    ),
    Case(
        "namespaceSelector: by labels of the namespace",
        {"a": some(DB, 1, namespace="blue"), "c": some(DB, 1, namespace="red")},
        [pod("p", near=[term(DB, **BY_TEAM)])],
        {"p": "c"},
        namespaces=TEAMS,
    ),
    Case(
        "namespaceSelector: besides those that are named",
        {"a": some(DB, 1, namespace="blue"), "c": some(DB, 1, namespace="red")},
        [pod("p", apart=[term(DB, namespaces=["blue"], **BY_TEAM)])],
        wait={"p": Kind.POD_ANTI_AFFINITY},
        namespaces=TEAMS,
    ),
    Case(
        "namespaceSelector: an empty one selects all, also those not known",
        {"a": some(DB, 1, namespace="green")},
        [pod("p", apart=[term(DB, namespaceSelector={})])],
        {"p": "c"},
    ),
    Case(
        "matchLabelKeys: of pods with the pod's own value",
        {"a": some("app=web v=1", 1), "c": some("app=web v=2", 1)},
        [pod("p", "app=web v=2", near=[term(WEB, matchLabelKeys=["v", "missing"])])],
        {"p": "c"},
    ),
    Case(
        "mismatchLabelKeys: of pods with another value",
        {"a": some("app=web v=1", 1), "c": some("app=web v=2", 1)},
        [pod("p", "app=web v=2", apart=[term("", mismatchLabelKeys=["v"])])],
        {"p": "c"},
    ),
    Case(
        "matchLabelKeys: what the API server has put in counts, whatever the label is by now",
        {"a": some("app=web v=1", 1)},
        [
            pod(
                "p",
                "app=web v=2",
                near=[
                    term(
                        None,
                        labelSelector={"matchExpressions": [{"key": "v", "operator": "In", "values": ["1"]}]},
                        matchLabelKeys=["v"],
                    )
                ],
            )
        ],
        {"p": "b"},
    ),
)
def test_whom_a_term_selects(case: Case) -> None:
    check(case)


@rows(
    Case(
        "likes: to a domain with more of them",
        {"c": some(DB, 1)},
        [pod("p", likes=[(1, term(DB))])],
        {"p": "c"},
    ),
    Case(
        "likes: by weight times number",
        {"a": some(DB, 3), "c": some(WEB, 1)},
        [pod("p", cpu="2", likes=[(1, term(DB)), (4, term(WEB))])],
        {"p": "c"},
    ),
    Case(
        "dislikes: away from them, though not at any price",
        {"a": some(DB, 1)},
        [pod("p", dislikes=[(1, term(DB))]), pod("q", dislikes=[(1, term(DB))], nodeSelector={"zone": "1"})],
        {"p": "c", "q": "b"},
    ),
    Case(
        "those that run like it",
        {"c": [pod("r", likes=[(1, term(WEB))])]},
        [pod("p", WEB)],
        {"p": "c"},
    ),
    Case(
        "those that run dislike it",
        {"a": [pod("r", dislikes=[(1, term(WEB, HOST))])], "c": some(DB, 1)},
        [pod("p", WEB, nodeSelector={"zone": "1"})],
        {"p": "b"},
    ),
    Case(
        "those that run require its like: it comes to them",
        {"c": [pod("r", near=[term(WEB)])]},
        [pod("p", WEB)],
        {"p": "c"},
    ),
    Case(
        "node affinity weighs more, what is packed weighs less",
        {"a": some(DB, 1), "c": some(WEB, 1)},
        [
            pod(
                "p",
                likes=[(100, term(DB, HOST))],
                affinity={
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 1,
                                "preference": {
                                    "matchExpressions": [{"key": "zone", "operator": "In", "values": ["2"]}]
                                },
                            }
                        ]
                    }
                },
            )
        ],
        {"p": "c"},
    ),
)
def test_preferences(case: Case) -> None:
    check(case)


TAINTED = node("d", labels={"zone": "3"}, taints=["t:NoSchedule"])


def spread_pods(count: int, constraint: dict[str, Any], **more: Any) -> list[Pod]:
    return [pod(f"p{number}", WEB, spread=[constraint], **more) for number in range(count)]


@rows(
    Case(
        "spread: no domain more than maxSkew above the emptiest",
        {"a": some(WEB, 1)},
        spread_pods(3, even(WEB)),
        {"p0": "c", "p1": "b", "p2": "c"},
    ),
    Case(
        "spread: when the emptiest domain is full, the others wait",
        {"c": [pod("big", cpu="64")]},
        spread_pods(2, even(WEB)),
        {"p0": "a"},
        {"p1": Kind.SPREAD},
    ),
    Case(
        "spread: as much as maxSkew",
        {"c": [pod("big", cpu="64")]},
        spread_pods(4, even(WEB, skew=3)),
        {"p0": "a", "p1": "b", "p2": "a"},
        {"p3": Kind.SPREAD},
    ),
    Case(
        "spread: a node without the key is never taken",
        {},
        spread_pods(1, even(WEB, "rack")),
        wait={"p0": Kind.SPREAD_LABEL},
    ),
    Case(
        "spread: pods of other namespaces do not count, nor those being deleted",
        {"a": some(WEB, 2, namespace="other"), "b": some(WEB, 2, leaves=True), "c": some(WEB, 1)},
        spread_pods(1, even(WEB)),
        {"p0": "a"},
    ),
    Case(
        "spread: a pod that its own selector passes over does not count itself",
        {"c": some(WEB, 1)},
        [pod("p", DB, spread=[even(WEB)], nodeSelector={HOST: "c"}, affinity={})],
        {"p": "c"},
    ),
    Case(
        "spread: with fewer domains than minDomains the emptiest counts as none",
        {"a": some(WEB, 1), "c": some(WEB, 1)},
        spread_pods(1, even(WEB, minDomains=3)),
        wait={"p0": Kind.SPREAD},
    ),
    Case(
        "spread: with as many domains as minDomains it does not",
        {"a": some(WEB, 1), "c": some(WEB, 1)},
        spread_pods(1, even(WEB, minDomains=2)),
        {"p0": "b"},
    ),
    Case(
        "spread: nodes that the node selector passes over are no domains",
        {"a": some(WEB, 2)},
        spread_pods(1, even(WEB), nodeSelector={"zone": "1"}),
        {"p0": "b"},
    ),
    Case(
        "spread: unless nodeAffinityPolicy is Ignore",
        {"a": some(WEB, 2)},
        spread_pods(1, even(WEB, nodeAffinityPolicy="Ignore"), nodeSelector={"zone": "1"}),
        wait={"p0": Kind.SPREAD},
    ),
    Case(
        "spread: tainted nodes are domains",
        {"a": some(WEB, 1), "c": some(WEB, 1)},
        spread_pods(1, even(WEB)),
        wait={"p0": Kind.SPREAD},
        nodes=[*ZONES, TAINTED],
    ),
    Case(
        "spread: unless nodeTaintsPolicy is Honor",
        {"a": some(WEB, 1), "c": some(WEB, 1)},
        spread_pods(1, even(WEB, nodeTaintsPolicy="Honor")),
        {"p0": "b"},
        nodes=[*ZONES, TAINTED],
    ),
    Case(
        "spread: every constraint holds, and nodes that lack one of the keys count for none",
        {"x": some(WEB, 0), "a": some(WEB, 1), "c": some(WEB, 1)},
        [pod("p", WEB, spread=[even(WEB), even(WEB, HOST)])],
        {"p": "b"},
        nodes=[*ZONES, node("x", labels={"other": "1"})],
    ),
    Case(
        "spread: matchLabelKeys, each version for itself",
        {"a": some("app=web v=1", 3)},
        [
            pod(
                "p",
                "app=web v=2",
                cpu="2",
                spread=[even(WEB, matchLabelKeys=["v"])],
                nodeSelector={HOST: "a"},
            )
        ],
        {"p": "a"},
    ),
    Case(
        "spread: a domain that fills up opens the others",
        {},
        spread_pods(4, even(WEB, HOST)),
        {"p0": "a", "p1": "b", "p2": "c", "p3": "a"},
    ),
    Case(
        "ScheduleAnyway: to the emptiest, and elsewhere where that is full",
        {"a": some(WEB, 1), "c": [pod("big", cpu="63")]},
        [
            pod(f"p{number}", WEB, spread=[even(WEB, whenUnsatisfiable="ScheduleAnyway")])
            for number in range(3)
        ],
        {"p0": "c", "p1": "b", "p2": "a"},
    ),
    Case(
        "ScheduleAnyway: a node without the key is the last choice",
        {"a": some(WEB, 5), "c": some(WEB, 5)},
        [pod("p", WEB, spread=[even(WEB, whenUnsatisfiable="ScheduleAnyway")])],
        {"p": "b"},
        nodes=[*ZONES, node("x")],
    ),
)
def test_spread(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    ("running", "waiting", "told"),
    [
        (
            {},
            pod("p", near=[term(DB)]),
            "3 nodes have room, but no pod that its pod affinity asks for is there: app in (db) by zone "
            "(0/3 nodes are available: 3 node(s) didn't match pod affinity rules.)",
        ),
        (
            {"a": some(DB, 1), "c": [pod("big", cpu="64")]},
            pod("p", apart=[term(DB)]),
            "2 nodes have room, but a pod that its pod anti-affinity avoids is there: app in (db) by zone "
            "(0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match pod anti-affinity rules.)",
        ),
        (
            {"a": [pod("r", apart=[term(WEB)])], "c": [pod("s", apart=[term(WEB)])]},
            pod("p", WEB),
            "3 nodes have room, but the pod anti-affinity of a pod there keeps it out: app in (web) by zone "
            "(0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules.)",
        ),
        (
            {"a": some(WEB, 1), "c": [pod("big", cpu="64")]},
            pod("p", WEB, spread=[even(WEB)]),
            "2 nodes have room, but topology spread keeps the pod out: app in (web) by zone, maxSkew 1 "
            "(0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match pod topology spread constraints.)",
        ),
        (
            {},
            pod("p", WEB, spread=[even(WEB, "rack")]),
            "3 nodes have room, but no label rack, by which the pod is to be spread (0/3 nodes are available: "
            "3 node(s) didn't match pod topology spread constraints (missing required label).)",
        ),
    ],
)
def test_the_rule_is_named(running: Mapping[str, Sequence[Pod]], waiting: Pod, told: str) -> None:
    cluster = Cluster(ZONES, running)
    cluster.wait([waiting])
    assert cluster.decide() == {}
    assert str(cluster.why()["p"]) == told
