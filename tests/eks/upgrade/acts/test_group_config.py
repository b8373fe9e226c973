"""How a node group is rolled: asked of the fake until it is so, and put back as it was."""

from typing import Any

import pytest

from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.eks.aws.api import Failure
from aliquot.eks.estate import reading_aws
from aliquot.eks.estate.estate import Nodegroup
from aliquot.eks.fake.direct import Direct
from aliquot.eks.upgrade.acts.group_config import GroupConfig, Seen, Strategy, all_at_once, as_it_is, judged
from aliquot.eks.upgrade.doing import Attempt, Doors
from aliquot.eks.upgrade.journal import Journal
from aliquot.eks.upgrade.runner import Runner
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.upgrade.verdicts import Call, Done
from aliquot.eks.versions.minor import Minor
from tests.eks.fake.worlds import START_S, Account

ATTEMPT = Attempt(run="r", step="s", token="t", before=(), began_s=0.0, now_s=0.0)
ALL = GroupConfig(cluster="prod", name="gpu", most_unavailable_percentage=100, strategy=Strategy.MINIMAL)
ONE = GroupConfig(cluster="prod", name="gpu", most_unavailable=1)


@pytest.mark.parametrize(
    ("act", "config", "reached"),
    [
        (ONE, {"maxUnavailable": 1}, True),
        (ONE, {"maxUnavailable": 1, "updateStrategy": "DEFAULT"}, True),
        (ONE, {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}, False),
        (ONE, {"maxUnavailable": 2}, False),
        (ONE, {"maxUnavailablePercentage": 1}, False),
        (ALL, {"maxUnavailablePercentage": 100, "updateStrategy": "MINIMAL"}, True),
        (ALL, {"maxUnavailablePercentage": 100}, False),
        (ALL, {"maxUnavailable": 100, "updateStrategy": "MINIMAL"}, False),
    ],
)
def test_what_is_so_is_not_asked_for(act: GroupConfig, config: dict[str, Any], reached: bool) -> None:
    verdict = judged(act, Seen(status="ACTIVE", config=config), ATTEMPT)
    assert isinstance(verdict, Done if reached else Call)


@pytest.mark.parametrize("numbers", [(None, None), (1, 50), (0, None), (None, 101)])
def test_one_number_within_what_eks_takes(numbers: tuple[int | None, int | None]) -> None:
    with pytest.raises(ValueError, match="node group gpu: give"):
        GroupConfig(
            cluster="prod", name="gpu", most_unavailable=numbers[0], most_unavailable_percentage=numbers[1]
        )


@pytest.mark.parametrize(
    "config",
    [
        {"maxUnavailable": 3},
        {"maxUnavailablePercentage": 40},
        {"maxUnavailablePercentage": 20, "updateStrategy": "MINIMAL"},
    ],
)
def test_all_at_once_and_then_as_it_was(config: dict[str, Any]) -> None:
    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(_there_and_back(config))
    finally:
        loop.close()


async def _there_and_back(config: dict[str, Any]) -> None:
    account, clock = Account(), VirtualClock(START_S)
    account.cluster("1.31")
    account.nodegroup("gpu", 3, updateConfig=config)
    ahead_s = account.now_s - START_S
    api = Direct(account.service, now=lambda: clock.now() + ahead_s, failed=Failure, subnets=account.subnets)
    group: Nodegroup = (await reading_aws.nodegroups(api, "prod"))[0]
    acts = (all_at_once("prod", group), as_it_is("prod", group))
    journal = Journal("sqlite://")
    for number, act in enumerate(acts):
        step = Step(id=f"s{number}", state=State.NODES, hop=Minor(1, 32), what="", act=act, expected_s=60)
        journal.begin(f"run-{number}", "prod", b"plan", [step.id], clock.now())
        held = await Runner(Doors(api=api, clock=clock), journal, f"run-{number}", [step], owner="me").go()
        assert held is None
        if number == 0:
            assert account.group()["updateConfig"] == {
                "maxUnavailablePercentage": 100,
                "updateStrategy": "MINIMAL",
            }
    assert account.group()["updateConfig"] == {"updateStrategy": "DEFAULT", **config}
