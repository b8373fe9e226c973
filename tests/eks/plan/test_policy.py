"""The policy that whoever only plans is shown: what a reading and a plan ask AWS for, and nothing else."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

from aliquot.clock import VirtualClock
from aliquot.eks.estate.reading import from_aws
from aliquot.eks.plan import targets
from aliquot.eks.plan.plan import Options
from tests.eks.estate.test_reading import account, door
from tests.eks.fake.worlds import START_S
from tests.eks.plan.estates import REGION

_EXAMPLES = Path(__file__).parents[3] / "examples" / "eks"
_PREFIX = {"service-quotas": "servicequotas"}
_CHANGES_NOTHING = ("Describe", "List", "Get")


def allowed(name: str) -> set[str]:
    """By statements that say nothing of what they are of."""
    statements = json.loads((_EXAMPLES / f"{name}-policy.json").read_text())["Statement"]
    return {action for one in statements if one["Resource"] == "*" for action in one["Action"]}


async def asked() -> set[str]:
    whole = account(4, 2)
    whole.nodegroup("gpu", 1, amiType="AL2023_x86_64_NVIDIA", instanceTypes=["p5.48xlarge"])
    whole.pass_(600)
    api, clock = door(whole), VirtualClock(START_S)
    estate = await from_aws(api, "prod", clock=clock)
    lead = await targets.read(api, estate, estate.cluster.minor.next, Options(), region=REGION)
    assert not estate.unchecked
    assert not lead.unchecked
    calls = (call.partition(":") for call in api.calls)
    return {f"{_PREFIX.get(service, service)}:{operation}" for service, _, operation in calls}


async def test_it_allows_what_is_asked_for_and_nothing_else() -> None:
    patterns, calls = allowed("planner"), await asked()
    assert {one for one in calls if not any(fnmatchcase(one, pattern) for pattern in patterns)} == set()
    assert {one for one in patterns if not any(fnmatchcase(call, one) for call in calls)} == set()
    assert all(one.partition(":")[2].startswith(_CHANGES_NOTHING) for one in patterns)


def test_the_upgrader_may_all_of_it() -> None:
    assert allowed("planner") <= allowed("upgrader")
