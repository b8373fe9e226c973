"""Which pods may leave now, by their budgets."""

from typing import Any

import msgspec
import pytest

from aliquot.eks.estate.objects import Pod
from aliquot.eks.upgrade.evictions import eviction, may_leave


def pod(name: str, app: str = "web", phase: str = "Running", *, ready: bool = True) -> Pod:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    told = {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": {"app": app}},
        "status": {"phase": phase, "conditions": conditions},
    }
    return msgspec.convert(told, Pod)


def budget(name: str = "web", allowed: int = 0, app: str = "web", **more: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": app}}, **more.pop("spec", {})}
    return {
        "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": spec,
        "status": {"disruptionsAllowed": allowed, "observedGeneration": 1, **more},
    }


@pytest.mark.parametrize(
    ("pods", "budgets", "leave", "why"),
    [
        ([pod("a"), pod("b")], [], ["a", "b"], ""),
        ([pod("a"), pod("b")], [budget(allowed=1)], ["a"], "PodDisruptionBudget web lets none go"),
        ([pod("a"), pod("b")], [budget(allowed=2)], ["a", "b"], ""),
        ([pod("a"), pod("x", "db")], [budget()], ["x"], "web lets none go"),
        ([pod("a", phase="Pending")], [budget()], ["a"], ""),
        ([pod("a", ready=False)], [budget()], [], "web lets none go"),
        ([pod("a", ready=False)], [budget(currentHealthy=2, desiredHealthy=2)], ["a"], ""),
        ([pod("a", ready=False)], [budget(spec={"unhealthyPodEvictionPolicy": "AlwaysAllow"})], ["a"], ""),
        ([pod("a")], [budget(allowed=3), budget("other", allowed=3)], [], "other, web select it"),
        ([pod("a")], [budget(allowed=3, observedGeneration=0)], [], "not known yet"),
        ([pod("a")], [budget(spec={"selector": {"matchExpressions": [{"key": "a"}]}})], ["a"], ""),
    ],
    ids=range(11),
)
def test_who_may_leave(pods: list[Pod], budgets: list[dict[str, Any]], leave: list[str], why: str) -> None:
    free, held = may_leave(pods, budgets)
    assert [one.metadata.name for one in free] == leave
    assert len(held) == len(pods) - len(leave)
    assert all(why in told and why for _, told in held)


def test_an_eviction_is_of_that_very_pod() -> None:
    write = eviction(pod("a"))
    assert str(write) == "create Pod shop/a (eviction)"
    assert write.body["deleteOptions"]["preconditions"] == {"uid": "uid-a"}
