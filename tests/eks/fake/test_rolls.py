"""Node groups on their way to another version."""

from typing import Any

import pytest

from tests.eks.fake.worlds import MINUTE_S, Account


@pytest.fixture
def account() -> Account:
    made = Account()
    made.cluster("1.31")
    return made


def begin(account: Account, **more: Any) -> str:
    account.upgrade("1.32")
    id_: str = account.call(
        "UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.32", **more
    )["update"]["id"]
    return id_


def status(account: Account, update: str) -> dict[str, Any]:
    told: dict[str, Any] = account.call("DescribeUpdate", name="prod", updateId=update, nodegroupName="gpu")[
        "update"
    ]
    return told


def watch(account: Account, update: str) -> tuple[int, int]:
    """The most and the fewest machines that were there while it went on."""
    most, fewest = 0, 1000
    while status(account, update)["status"] == "InProgress":
        account.pass_(MINUTE_S)
        most, fewest = max(most, len(account.fleet.machines)), min(fewest, len(account.fleet.machines))
    return most, fewest


def minors(account: Account) -> set[str]:
    return {machine.minor for machine in account.fleet.machines.values()}


def test_default_goes_up_first_and_never_below_what_was_wanted(account: Account) -> None:
    account.nodegroup(size=3)
    update = begin(account)
    most, fewest = watch(account, update)
    assert status(account, update)["status"] == "Successful"
    assert (most, fewest) == (7, 3)
    assert minors(account) == {"1.32"}
    assert account.group()["version"] == "1.32"
    assert account.group()["releaseVersion"].startswith("1.32.")


def test_minimal_never_goes_above_and_cordons_all_old_nodes_first(account: Account) -> None:
    account.nodegroup(size=3, updateConfig={"maxUnavailable": 1, "updateStrategy": "MINIMAL"})
    old = set(account.fleet.machines)
    update = begin(account)
    account.pass_(MINUTE_S)
    assert old <= account.fleet.cordoned
    most, fewest = watch(account, update)
    assert status(account, update)["status"] == "Successful"
    assert most == 3
    assert fewest >= 2
    assert minors(account) == {"1.32"}


def test_a_pod_that_stays_ends_it_after_fifteen_minutes(account: Account) -> None:
    account.nodegroup(size=3)
    stuck = sorted(account.fleet.machines)[1]
    account.fleet.never_drained.add(stuck)
    update = begin(account)
    watch(account, update)
    told = status(account, update)
    assert told["status"] == "Failed"
    assert told["errors"][0]["errorCode"] == "PodEvictionFailure"
    assert told["errors"][0]["resourceIds"] == [stuck]
    assert stuck in account.fleet.machines
    # What is in the way goes, and it is tried again.
    account.fleet.never_drained.clear()
    again = account.call("UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.32")[
        "update"
    ]["id"]
    watch(account, again)
    assert status(account, again)["status"] == "Successful"
    assert len(account.fleet.machines) == 3
    assert minors(account) == {"1.32"}


def test_force_takes_the_pod_away(account: Account) -> None:
    account.nodegroup(size=2)
    account.fleet.never_drained.add(sorted(account.fleet.machines)[0])
    update = begin(account, force=True)
    watch(account, update)
    assert status(account, update)["status"] == "Successful"


def test_new_nodes_that_do_not_join_end_it_and_old_ones_stay(account: Account) -> None:
    account.nodegroup(size=2)
    old = set(account.fleet.machines)
    account.upgrade("1.32")
    account.fleet.never_ready.add("gpu")
    account.fleet.ready = lambda machine: machine.minor == "1.31"  # type: ignore[method-assign]
    update = account.call("UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.32")[
        "update"
    ]["id"]
    watch(account, update)
    assert status(account, update)["errors"][0]["errorCode"] == "NodeCreationFailure"
    assert set(account.fleet.machines) == old


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"version": "1.32"}, "newer than cluster version 1.31"),
        ({"version": "1.31"}, "already at version 1.31"),
        ({"releaseVersion": "1.30.4-20260901"}, "not valid for kubernetes version 1.31"),
    ],
)
def test_what_is_refused(account: Account, parameters: dict[str, Any], says: str) -> None:
    account.nodegroup()
    refused = account.refused("UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", **parameters)
    assert says in refused.message


def test_a_group_that_is_rolled_takes_nothing_else(account: Account) -> None:
    account.nodegroup()
    begin(account)
    for operation, more in (
        ("UpdateNodegroupConfig", {"labels": {"addOrUpdateLabels": {"a": "b"}}}),
        ("UpdateNodegroupVersion", {"releaseVersion": "1.32.1-20261101"}),
        ("DeleteNodegroup", {}),
    ):
        assert (
            account.refused(operation, clusterName="prod", nodegroupName="gpu", **more).code
            == "ResourceInUseException"
        )


def test_size_labels_and_taints(account: Account) -> None:
    account.nodegroup(size=2, labels={"a": "1", "b": "2"})
    taint = {"key": "gpu", "value": "yes", "effect": "NO_SCHEDULE"}
    account.call(
        "UpdateNodegroupConfig",
        clusterName="prod",
        nodegroupName="gpu",
        scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": 4},
        labels={"addOrUpdateLabels": {"a": "9"}, "removeLabels": ["b"]},
        taints={"addOrUpdateTaints": [taint]},
    )
    account.pass_(2 * MINUTE_S)
    told = account.group()
    assert (told["labels"], told["taints"]) == ({"a": "9"}, [taint])
    assert len(account.fleet.machines) == 4
    for machine in account.fleet.machines.values():
        assert (machine.labels, machine.taints) == ({"a": "9"}, (("gpu", "yes", "NoSchedule"),))
    assert {machine.zone for machine in account.fleet.machines.values()} == {"eu-west-1a", "eu-west-1b"}


def test_al2_ends_with_1_32(account: Account) -> None:
    account.nodegroup(amiType="AL2_x86_64_GPU")
    update = begin(account)
    watch(account, update)
    account.upgrade("1.33")
    refused = account.refused(
        "UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.33"
    )
    assert "AL2_x86_64_GPU is not supported for Kubernetes version 1.33" in refused.message
