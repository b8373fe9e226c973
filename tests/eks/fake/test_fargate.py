from typing import Any

import pytest

from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.fleet import Pod
from tests.eks.fake.worlds import MINUTE_S, Account

PODS = "arn:aws:iam::123456789012:role/pods"


@pytest.fixture
def account() -> Account:
    made = Account()
    made.cluster("1.31")
    return made


def wanted(name: str = "web", **more: Any) -> dict[str, Any]:
    base = {
        "clusterName": "prod",
        "fargateProfileName": name,
        "podExecutionRoleArn": PODS,
        "subnets": ["subnet-a", "subnet-b"],
        "selectors": [{"namespace": "web", "labels": {"tier": "front"}}],
    }
    return {key: value for key, value in {**base, **more}.items() if value is not None}


def profile(account: Account, name: str = "web") -> dict[str, Any]:
    told: dict[str, Any] = account.call(
        "DescribeFargateProfile", clusterName="prod", fargateProfileName=name
    )["fargateProfile"]
    return told


def created(account: Account, **more: Any) -> dict[str, Any]:
    account.call("CreateFargateProfile", **wanted(**more))
    account.pass_(3 * MINUTE_S)
    return profile(account, more.get("name", "web"))


def test_one_at_a_time_comes_and_goes(account: Account) -> None:
    account.call("CreateFargateProfile", **wanted())
    assert profile(account)["status"] == "CREATING"
    refused = account.refused("CreateFargateProfile", **wanted("batch"))
    assert (refused.code, refused.message) == (
        "ResourceInUseException",
        "Cannot create Fargate Profile batch because cluster prod currently has Fargate profile web in status CREATING",
    )
    account.pass_(3 * MINUTE_S)
    assert profile(account)["status"] == "ACTIVE"
    assert created(account, name="batch")["status"] == "ACTIVE"
    listed = account.call("ListFargateProfiles", clusterName="prod")["fargateProfileNames"]
    assert listed == ["batch", "web"]
    account.call("DeleteFargateProfile", clusterName="prod", fargateProfileName="web")
    in_the_way = account.refused("DeleteFargateProfile", clusterName="prod", fargateProfileName="batch")
    assert "web in status DELETING" in in_the_way.message
    account.pass_(3 * MINUTE_S)
    gone = account.refused("DescribeFargateProfile", clusterName="prod", fargateProfileName="web")
    assert gone.code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"name": "eks-web"}, "is not valid"),
        ({"podExecutionRoleArn": "pods"}, "role ARN is not valid"),
        ({"selectors": None}, "at least one selector"),
        ({"selectors": [{"namespace": "a"}] * 6}, "at most 5"),
        ({"selectors": [{"labels": {"a": "b"}}]}, "must have a namespace"),
        ({"subnets": ["subnet-z"]}, "does not exist"),
        ({"subnets": ["subnet-b"]}, "Subnet subnet-b provided in Fargate Profile is not a private subnet"),
    ],
)
def test_what_a_profile_may_not_be(account: Account, more: dict[str, Any], says: str) -> None:
    account.public = {"subnet-b"}
    assert says in account.refused("CreateFargateProfile", **wanted(**more)).message


def test_without_subnets_it_has_the_private_ones_of_its_cluster(account: Account) -> None:
    account.public = {"subnet-b"}
    assert created(account, subnets=None)["subnets"] == ["subnet-a"]
    account.public = {"subnet-a", "subnet-b"}
    assert (
        "no private subnets" in account.refused("CreateFargateProfile", **wanted("x", subnets=None)).message
    )


def test_a_name_is_there_once(account: Account) -> None:
    created(account)
    refused = account.refused("CreateFargateProfile", **wanted())
    assert refused.message == "A Fargate Profile already exists with this name in this cluster."


def test_making_one_can_fail(account: Account) -> None:
    account.world.faults.waiting = [
        Fault(kind=Kind.FAIL, operation="CreateFargateProfile", code="PodExecutionRoleAlreadyInUse")
    ]
    told = created(account)
    assert (told["status"], told["health"]["issues"][0]["code"]) == (
        "CREATE_FAILED",
        "PodExecutionRoleAlreadyInUse",
    )


def front(name: str) -> Pod:
    return Pod(namespace="web", name=name, labels={"tier": "front", "app": "shop"})


def test_each_pod_of_a_profile_is_a_node_of_the_minor_it_came_at(account: Account) -> None:
    created(account)
    account.fleet.waiting["prod"] = (front("one"), Pod(namespace="web", name="other"))
    account.pass_(MINUTE_S)
    (first,) = account.fleet.machines.values()
    assert (first.profile, first.pod, first.minor) == ("web", ("web", "one"), "1.31")
    account.upgrade("1.32")
    account.fleet.waiting["prod"] = (front("one"), front("two"))
    account.pass_(MINUTE_S)
    minors = {machine.pod[1]: machine.minor for machine in account.fleet.machines.values()}
    assert minors == {"one": "1.31", "two": "1.32"}
    # Deleted and made anew, it is of the cluster's minor.
    account.fleet.waiting["prod"] = (front("two"), front("three"))
    account.pass_(MINUTE_S)
    assert {machine.minor for machine in account.fleet.machines.values()} == {"1.32"}
    account.call("DeleteFargateProfile", clusterName="prod", fargateProfileName="web")
    account.pass_(MINUTE_S)
    assert account.fleet.machines == {}


def test_nodes_of_fargate_count_for_insights(account: Account) -> None:
    created(account)
    account.fleet.waiting["prod"] = (front("one"),)
    account.pass_(MINUTE_S)
    for minor in ("1.32", "1.33", "1.34"):
        account.upgrade(minor)
    account.call("StartInsightsRefresh", clusterName="prod")
    account.pass_(3 * MINUTE_S)
    failing = account.call("ListInsights", clusterName="prod", filter={"statuses": ["ERROR"]})["insights"]
    assert [(one["name"], one["kubernetesVersion"]) for one in failing] == [("Kubelet version skew", "1.35")]


def test_a_cluster_with_a_profile_stays(account: Account) -> None:
    created(account)
    assert account.refused("DeleteCluster", name="prod").code == "ResourceInUseException"
    account.call("TagResource", resourceArn=profile(account)["fargateProfileArn"], tags={"a": "b"})
    assert profile(account)["tags"] == {"a": "b"}
