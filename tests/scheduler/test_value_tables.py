"""The scheduler counts what is asked for, and makes slices by the table that suits it."""

import asyncio
import json
from typing import Any

import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.partition.adaptive import AdaptiveFleet
from aliquot.partition.suited import ENOUGH
from aliquot.partition.value import Valuation
from aliquot.partition.value_tables import ValueTable
from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.testing import mig, node, pod, profiles
from tests.partition.boards import states
from tests.scheduler.fake_api import FakeApi, Json, World, simulate
from tests.scheduler.running import running, scheduler, until

H100 = "h100-80gb"
SHAPES = ("1/1", "1/2", "2/2", "3/4", "4/4", "7/8")
UPSIDE_DOWN = ValueTable("small", dict.fromkeys(SHAPES, 0.0) | {"1/1": 1.0}, {"starts 2/2": -1.0})
"""Of a mix of small ones alone, and so foolish that it is not taken for the rule: it is glad of places that are lost."""
SMALL = "nvidia.com/mig-1g.10gb"


def cut_on_demand(name: str) -> Json:
    listed = {
        "uuid": f"{name}-gpu0",
        "index": 0,
        "product": "NVIDIA H100",
        "board": H100,
        "memoryMib": 81559,
        "migMode": "Enabled",
        "ready": True,
    }
    reported = [
        {
            "product": "NVIDIA H100",
            "id": one.profile_id,
            "name": one.name,
            "computeSlices": one.compute_slices,
            "memorySlots": one.memory_slots,
            "maxInstances": one.max_instances,
            "starts": [placement.start for placement in one.placements],
        }
        for one in profiles(H100)
    ]
    return {
        "metadata": {"name": name},
        "spec": {"partitioning": "onDemand"},
        "status": {
            "gpus": [listed],
            "migProfiles": reported,
            "migStrategy": "mixed",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": ""}],
        },
    }


def asks(name: str, **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "schedulerName": "default-scheduler",
            "containers": [{"name": "main", "resources": {"limits": {SMALL: 1}}}],
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def start_of(api: FakeApi, name: str) -> int | None:
    text = api.pod(name)["metadata"].get("annotations", {}).get(ASSIGNMENT_ANNOTATION)
    return json.loads(text)["devices"][0]["start"] if text else None


@pytest.mark.parametrize(("before", "start"), [(ENOUGH - 2, 6), (ENOUGH - 1, 5)])
def test_a_slice_is_made_by_the_table_once_enough_was_asked_for(before: int, start: int) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", {"metadata": {"name": "a"}, "status": {"allocatable": {"cpu": "8", "pods": "110"}}})
        api.put("gpunodes", cut_on_demand("a"))
        async with running(scheduler(world, value_tables=[UPSIDE_DOWN])):
            await asyncio.sleep(1)
            for number in range(before):
                api.put("pods", asks(f"elsewhere-{number}", nodeSelector={"no": "where"}))
            await asyncio.sleep(1)
            api.put("pods", asks("p"))
            await until(lambda: start_of(api, "p") is not None)
        assert start_of(api, "p") == start

    simulate(scenario)


def test_pods_go_where_the_fleet_places_also_across_nodes() -> None:
    tables, policies = states(H100), Policies()
    snapshot, pending = Snapshot(), Pending(policies.order)
    valuation = Valuation()
    rankings = Rankings(policies, valuation)
    for name in "abc":
        snapshot.set_facts(node(name, "", "", cut=H100))
    fleet = AdaptiveFleet(tables, range(6))
    small = [profile for profile, share in enumerate((40, 15, 25, 10, 5, 5)) for _ in range(share)]
    placed = []
    for number in range(ENOUGH + 30):
        profile = small[number * 37 % 100]
        one = next(p for p in profiles(H100) if p.name == tables.profiles[profile].name)
        fleet.observe(profile)
        if valuation.observe(profiles(H100), one):
            rankings.clear()
        if number >= ENOUGH - 6:
            choice = fleet.choose(profile)
            pending.put(pod(f"p{number}", wants={mig(one.name): 1}))
            found = cycle.run(snapshot, pending, rankings).binds
            where = [(bind.placed.node, d.gpu[-1], d.start) for bind in found for d in bind.placed.devices]
            if choice is None:
                assert where == []
                pending.discard(f"default/p{number}")
            else:
                fleet.commit(*choice)
                assert where == [("abc"[choice[0] // 2], str(choice[0] % 2), choice[1].start)]
                placed.append(where)
    assert fleet.policy.name == "learned/skew-small"
    assert len(placed) > 12
