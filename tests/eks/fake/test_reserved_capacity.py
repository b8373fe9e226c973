"""Node groups that take their instances from a reservation or a capacity block, and what becomes of a roll that finds none."""

from typing import Any

import pytest

from tests.eks.fake.worlds import DAY_S, MINUTE_S, ROLE, Account

TYPE = "p5.48xlarge"
TARGET = "CapacityReservationTarget"


@pytest.fixture
def account() -> Account:
    made = Account()
    made.cluster("1.31")
    made.upgrade("1.32")
    return made


def reserved(account: Account, count: int, **more: Any) -> str:
    call = {
        "InstanceType": TYPE,
        "InstancePlatform": "Linux/UNIX",
        "AvailabilityZone": "eu-west-1a",
        "InstanceCount": count,
        "InstanceMatchCriteria": "targeted",
        **more,
    }
    told = account.beside("ec2", "CreateCapacityReservation", **call)["CapacityReservation"]
    return str(told["CapacityReservationId"])


def free(account: Account, id_: str) -> int:
    listed = account.beside("ec2", "DescribeCapacityReservations", CapacityReservationIds=[id_])
    return int(listed["CapacityReservations"][0]["AvailableInstanceCount"])


def naming(id_: str, **more: Any) -> dict[str, Any]:
    return {
        "InstanceType": TYPE,
        "CapacityReservationSpecification": {TARGET: {"CapacityReservationId": id_}},
        **more,
    }


def group(account: Account, id_: str, size: int = 2, **more: Any) -> dict[str, Any]:
    template = account.template(**naming(id_))
    return account.nodegroup(size=size, version="1.31", launchTemplate=template, **more)


def rolled(account: Account, minutes: int = 90) -> dict[str, Any]:
    call = {"clusterName": "prod", "nodegroupName": "gpu", "version": "1.32"}
    id_ = account.call("UpdateNodegroupVersion", **call)["update"]["id"]
    account.pass_(minutes * MINUTE_S)
    update: dict[str, Any] = account.call("DescribeUpdate", name="prod", updateId=id_, nodegroupName="gpu")[
        "update"
    ]
    return update


def minors(account: Account) -> list[str]:
    return sorted(machine.minor for machine in account.fleet.machines.values())


def test_nodes_are_of_the_reservation(account: Account) -> None:
    id_ = reserved(account, 3)
    told = group(account, id_)
    assert told["launchTemplate"] == {"id": "lt-1", "name": "gpu", "version": "1"}
    assert "instanceTypes" not in told
    assert {(m.instance_type, m.zone) for m in account.fleet.machines.values()} == {(TYPE, "eu-west-1a")}
    assert free(account, id_) == 1
    account.call("DeleteNodegroup", clusterName="prod", nodegroupName="gpu")
    account.pass_(5 * MINUTE_S)
    assert free(account, id_) == 3


def test_a_roll_that_needs_one_more_fails_and_one_that_does_not_works(account: Account) -> None:
    id_ = reserved(account, 2)
    group(account, id_)
    before = set(account.fleet.machines)
    update = rolled(account)
    assert update["status"] == "Failed"
    assert update["errors"][0]["errorCode"] == "NodeCreationFailure"
    assert (set(account.fleet.machines), minors(account)) == (before, ["1.31", "1.31"])
    assert (account.group()["status"], account.group()["version"]) == ("DEGRADED", "1.31")
    minimal = {"updateStrategy": "MINIMAL"}
    account.call("UpdateNodegroupConfig", clusterName="prod", nodegroupName="gpu", updateConfig=minimal)
    account.pass_(2 * MINUTE_S)
    assert rolled(account)["status"] == "Successful"
    assert (minors(account), free(account, id_)) == (["1.32", "1.32"], 0)
    assert account.group()["status"] == "ACTIVE"


def test_meanwhile_the_group_says_why(account: Account) -> None:
    id_ = reserved(account, 2)
    group(account, id_)
    rolled(account, minutes=5)
    told = account.group()
    (issue,) = told["health"]["issues"]
    assert (told["status"], issue["code"]) == ("UPDATING", "AsgInstanceLaunchFailures")
    assert "ReservationCapacityExceeded" in issue["message"]


def test_one_spare_is_enough_for_the_default_strategy(account: Account) -> None:
    id_ = reserved(account, 3)
    group(account, id_)
    assert rolled(account)["status"] == "Successful"
    assert (minors(account), free(account, id_)) == (["1.32", "1.32"], 1)


def test_a_group_that_gets_too_few_does_not_come_up(account: Account) -> None:
    id_ = reserved(account, 1)
    call = {
        "clusterName": "prod",
        "nodegroupName": "gpu",
        "nodeRole": ROLE,
        "subnets": ["subnet-a", "subnet-b"],
    }
    scaling = {"minSize": 0, "maxSize": 2, "desiredSize": 2}
    account.call(
        "CreateNodegroup", **call, scalingConfig=scaling, launchTemplate=account.template(**naming(id_))
    )
    account.pass_(5 * MINUTE_S)
    assert (account.group()["status"], free(account, id_)) == ("CREATING", 0)
    account.pass_(30 * MINUTE_S)
    told = account.group()
    assert told["status"] == "CREATE_FAILED"
    assert [one["code"] for one in told["health"]["issues"]] == ["AsgInstanceLaunchFailures"]


def test_a_reservation_that_is_cancelled_leaves_nodes_and_gives_none(account: Account) -> None:
    id_ = reserved(account, 2)
    group(account, id_, size=1)
    account.beside("ec2", "CancelCapacityReservation", CapacityReservationId=id_)
    scaling = {"minSize": 0, "maxSize": 2, "desiredSize": 2}
    account.call("UpdateNodegroupConfig", clusterName="prod", nodegroupName="gpu", scalingConfig=scaling)
    account.pass_(2 * MINUTE_S)
    assert (account.group()["status"], len(account.fleet.machines)) == ("DEGRADED", 1)
    # As long as no instance comes, it says so, whatever is wanted of it.
    account.call(
        "UpdateNodegroupConfig",
        clusterName="prod",
        nodegroupName="gpu",
        scalingConfig={**scaling, "desiredSize": 1},
    )
    account.pass_(2 * MINUTE_S)
    assert account.group()["status"] == "DEGRADED"


def test_an_open_reservation_is_taken_first_and_the_market_after_it(account: Account) -> None:
    id_ = reserved(account, 1, InstanceMatchCriteria="open")
    account.nodegroup(size=2, version="1.31", instanceTypes=[TYPE])
    assert free(account, id_) == 0
    assert len(account.fleet.machines) == 2


def test_what_is_sold_out_is_looked_for_in_the_next_zone_and_type(account: Account) -> None:
    account.world.market.sold_out |= {
        (TYPE, "eu-west-1a"),
        ("p4d.24xlarge", "eu-west-1a"),
        (TYPE, "eu-west-1b"),
    }
    account.nodegroup(size=2, version="1.31", instanceTypes=[TYPE, "p4d.24xlarge"])
    assert {(m.instance_type, m.zone) for m in account.fleet.machines.values()} == {
        ("p4d.24xlarge", "eu-west-1b")
    }


def block(account: Account, count: int) -> str:
    call = {"InstanceType": TYPE, "InstanceCount": count, "CapacityDurationHours": 24}
    offer = account.beside("ec2", "DescribeCapacityBlockOfferings", **call)["CapacityBlockOfferings"][0]
    told = account.beside(
        "ec2",
        "PurchaseCapacityBlock",
        CapacityBlockOfferingId=offer["CapacityBlockOfferingId"],
        InstancePlatform="Linux/UNIX",
    )["CapacityReservation"]
    return str(told["CapacityReservationId"])


BLOCK = {"InstanceMarketOptions": {"MarketType": "capacity-block"}}


def test_a_block_gives_its_instances_from_its_beginning_to_shortly_before_its_end(account: Account) -> None:
    id_ = block(account, 2)
    template = account.template(**naming(id_, **BLOCK))
    account.nodegroup(size=0, version="1.31", capacityType="CAPACITY_BLOCK", launchTemplate=template)
    scaling = {"minSize": 0, "maxSize": 2, "desiredSize": 2}
    account.call("UpdateNodegroupConfig", clusterName="prod", nodegroupName="gpu", scalingConfig=scaling)
    account.pass_(MINUTE_S)
    assert account.fleet.machines == {}
    begins = account.world.market.reservations[id_].begins_s
    account.pass_(begins - account.now_s + 5 * MINUTE_S)
    assert (account.group()["status"], len(account.fleet.machines)) == ("ACTIVE", 2)
    account.pass_(DAY_S - 45 * MINUTE_S)
    assert len(account.fleet.machines) == 2
    account.pass_(15 * MINUTE_S)
    assert (account.group()["status"], account.fleet.machines) == ("DEGRADED", {})


@pytest.mark.parametrize(
    ("data", "call", "says"),
    [
        (
            {"CapacityReservationSpecification": {TARGET: {"CapacityReservationId": "cr-0"}}},
            {},
            "cr-0 does not exist",
        ),
        (
            {"CapacityReservationSpecification": {TARGET: {"CapacityReservationResourceGroupArn": "arn"}}},
            {},
            "no groups of reservations",
        ),
        ({"InstanceType": TYPE}, {"instanceTypes": [TYPE]}, "not in both"),
        ({"ImageId": "ami-1"}, {"version": "1.31"}, "when using custom AMIs"),
        ({"ImageId": "ami-1"}, {"amiType": "AL2023_x86_64_NVIDIA"}, "CUSTOM alone"),
        ({}, {"capacityType": "CAPACITY_BLOCK"}, "market type capacity-block"),
        (BLOCK, {}, "market type capacity-block"),
        (BLOCK, {"capacityType": "CAPACITY_BLOCK"}, "names their reservation"),
        (BLOCK, {"capacityType": "CAPACITY_BLOCK", "instanceTypes": ["a.b", "c.d"]}, "one instance type"),
        ({"Placement": {"GroupName": "none"}}, {}, "Placement group none does not exist"),
    ],
)
def test_templates_that_no_group_can_have(
    account: Account, data: dict[str, Any], call: dict[str, Any], says: str
) -> None:
    named = account.template(**data)
    base = {"clusterName": "prod", "nodegroupName": "gpu", "nodeRole": ROLE, "subnets": ["subnet-a"]}
    assert says in account.refused("CreateNodegroup", **base, launchTemplate=named, **call).message


@pytest.mark.parametrize(
    ("more", "subnets", "says"),
    [
        ({"AvailabilityZone": "eu-west-1b"}, ["subnet-a"], "no subnet is there"),
        ({"InstanceType": "p4d.24xlarge"}, ["subnet-a"], "of instance type p4d.24xlarge"),
    ],
)
def test_reservations_that_do_not_fit(
    account: Account, more: dict[str, Any], subnets: list[str], says: str
) -> None:
    named = account.template(**naming(reserved(account, 1, **more)))
    base = {"clusterName": "prod", "nodegroupName": "gpu", "nodeRole": ROLE, "subnets": subnets}
    assert says in account.refused("CreateNodegroup", **base, launchTemplate=named).message


def test_a_placement_group_with_nodes_stays(account: Account) -> None:
    account.beside("ec2", "CreatePlacementGroup", GroupName="gang")
    template = account.template(Placement={"GroupName": "gang"})
    account.nodegroup(size=1, version="1.31", launchTemplate=template)
    with pytest.raises(Exception, match="in use"):
        account.beside("ec2", "DeletePlacementGroup", GroupName="gang")


def test_a_group_of_a_custom_image_goes_by_its_template(account: Account) -> None:
    told = account.nodegroup(size=1, launchTemplate=account.template(ImageId="ami-1"))
    assert (told["amiType"], told["releaseVersion"], told["version"]) == ("CUSTOM", "ami-1", "1.32")
    call = {"clusterName": "prod", "nodegroupName": "gpu"}
    assert "custom AMIs" in account.refused("UpdateNodegroupVersion", **call, version="1.32").message
    wrong = {"id": "lt-2", "version": "1"}
    assert (
        "keeps its launch template"
        in account.refused("UpdateNodegroupVersion", **call, launchTemplate=wrong).message
    )
    gone = {"id": "lt-1", "version": "9"}
    assert (
        "version 9 does not exist"
        in account.refused("UpdateNodegroupVersion", **call, launchTemplate=gone).message
    )
    account.call("UpdateNodegroupVersion", **call, launchTemplate=account.template(2, ImageId="ami-2"))
    account.pass_(30 * MINUTE_S)
    assert (account.group()["releaseVersion"], account.group()["launchTemplate"]["version"]) == ("ami-2", "2")


def test_a_roll_that_fails_leaves_the_group_to_what_it_drew_from(account: Account) -> None:
    first, second = reserved(account, 2), reserved(account, 1)
    group(account, first)
    named = account.template(2, **naming(second))
    account.world.market.reservations[second].used.add("i-other")
    call = {"clusterName": "prod", "nodegroupName": "gpu"}
    account.call("UpdateNodegroupVersion", **call, version="1.32", launchTemplate=named)
    account.pass_(60 * MINUTE_S)
    assert (account.group()["status"], account.group()["launchTemplate"]["version"]) == ("DEGRADED", "1")
    assert account.world.clusters["prod"].nodegroups["gpu"].draw.reservation == first
