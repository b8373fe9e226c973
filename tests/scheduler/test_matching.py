"""Which nodes will do: each row is a cluster, those who wait, and where they go or why they do not."""

from aliquot.scheduler.testing import node, pod, term
from tests.scheduler.placement_cases import Case, check, rows


@rows(
    Case("no nodes", [], [pod("p")], wait={"p": "the cluster has no nodes"}),
    Case("the only node", [node("a")], [pod("p", cpu=1)], go={"p": "a"}),
    Case(
        "the node named",
        [node("a"), node("b")],
        [pod("p", on_node="b"), pod("q", on_node="c")],
        go={"p": "b"},
        wait={"q": "there is no node c"},
    ),
    Case(
        "all labels of the selector",
        [node("a", labels={"x": "1"}), node("b", labels={"x": "1", "y": "2"})],
        [pod("p", selector={"x": "1", "y": "2"})],
        go={"p": "b"},
    ),
    Case(
        "a label that no node has",
        [node("a"), node("b", labels={"accelerator": "l4"})],
        [pod("p", selector={"accelerator": "h100"}), pod("q", selector={"x": "1", "y": "2"})],
        wait={"p": "no node has the label accelerator=h100", "q": "no node has the labels x=1,y=2"},
    ),
    Case(
        "affinity In and NotIn",
        [node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), node("c")],
        [
            pod("in", required=[term("zone in 2,3")]),
            pod("notin", required=[term("zone notin 1,2")]),
        ],
        go={"in": "b", "notin": "c"},
    ),
    Case(
        "affinity Exists and DoesNotExist",
        [node("a", labels={"gpu": ""}), node("b")],
        [pod("exists", required=[term("gpu")]), pod("not", required=[term("!gpu")])],
        go={"exists": "a", "not": "b"},
    ),
    Case(
        "affinity Gt and Lt compare integers",
        [node("a", labels={"gen": "9"}), node("b", labels={"gen": "10"}), node("c", labels={"gen": "x"})],
        [pod("gt", required=[term("gen > 9")]), pod("lt", required=[term("gen < 10")])],
        go={"gt": "b", "lt": "a"},
    ),
    Case(
        "affinity by node name (DaemonSet pods)",
        [node("a"), node("b")],
        [pod("p", required=[term("@name in b")])],
        go={"p": "b"},
    ),
    Case(
        "affinity terms are alternatives, their requirements are not",
        [node("a", labels={"x": "1"}), node("b", labels={"x": "1", "y": "1"})],
        [
            pod("either", required=[term("nothing"), term("x", "y")]),
            pod("both", required=[term("x", "!x"), term("y", "z")]),
        ],
        go={"either": "b"},
        wait={"both": "no node matches the required node affinity: x and !x or y and z"},
    ),
    Case(
        "an empty affinity term matches nothing",
        [node("a")],
        [pod("p", required=[term()]), pod("q", required=[])],
        wait={
            "p": "no node matches the required node affinity: (empty term)",
            "q": "no node matches the required node affinity: (no terms)",
        },
    ),
    Case(
        "cordoned",
        [node("a", cordoned=True), node("b", cordoned=True)],
        [pod("p"), pod("daemon", tolerates=["node.kubernetes.io/unschedulable:NoSchedule"])],
        go={"daemon": "a"},
        wait={"p": "2 nodes match, all are cordoned"},
    ),
    Case(
        "taints: key, value and effect must be tolerated",
        [node("a", taints=["team=red:NoSchedule"])],
        [
            pod("none"),
            pod("value", tolerates=["team=blue:NoSchedule"]),
            pod("effect", tolerates=["team=red:NoExecute"]),
            pod("exact", tolerates=["team=red:NoSchedule"]),
            pod("exists", tolerates=["team"]),
            pod("all", tolerates=["*"]),
        ],
        go={"exact": "a", "exists": "a", "all": "a"},
        wait=dict.fromkeys(
            ("none", "value", "effect"),
            "1 node matches, it has a taint that is not tolerated: team=red:NoSchedule",
        ),
    ),
    Case(
        "NoExecute keeps out too",
        [node("a", taints=["down:NoExecute"]), node("b", taints=["down:NoExecute"])],
        [pod("p")],
        wait={"p": "2 nodes match, all have a taint that is not tolerated: down:NoExecute"},
    ),
    Case(
        "PreferNoSchedule is avoided where there is a choice",
        [node("a", taints=["spot:PreferNoSchedule"]), node("b")],
        [pod("p"), pod("q", selector={"kubernetes.io/hostname": "a"})],
        go={"p": "b", "q": "a"},
    ),
    Case(
        "preferred affinity: the heaviest match",
        [node("a", labels={"x": ""}), node("b", labels={"y": ""}), node("c")],
        [pod("p", preferred=[(10, term("x")), (20, term("y"))])],
        go={"p": "b"},
    ),
    Case(
        "host ports",
        [node("a"), node("b")],
        [
            pod("p", ports=[80], created_s=1),
            pod("q", ports=[80, 81], created_s=2),
            pod("r", ports=[80], created_s=3),
        ],
        go={"p": "a", "q": "b"},
        wait={"r": "2 nodes match, host port 80/TCP is taken on all"},
    ),
)
def test_matching(case: Case) -> None:
    check(case)
