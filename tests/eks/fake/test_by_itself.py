"""What happens to a cluster that nobody asked for: an upgrade at the end of support, issues of health, things that fail."""

from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest

from aliquot.eks.fake.faults import Fault, Illness, Kind
from tests.eks.fake.worlds import DAY_S, MINUTE_S, ROLE, Account

MODEL = botocore.session.Session().get_service_model("eks")


@pytest.fixture
def account() -> Account:
    return Account()


def until(account: Account, *day: int) -> None:
    """Nobody looks in between."""
    account.now_s = datetime(*day, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]
    account.pass_(15 * MINUTE_S)


def described(account: Account) -> dict[str, Any]:
    told: dict[str, Any] = account.call("DescribeCluster", name="prod")["cluster"]
    return told


def test_the_end_of_extended_support_takes_the_control_plane_on_and_not_back(account: Account) -> None:
    account.cluster("1.31")
    account.nodegroup()
    until(account, 2026, 11, 25)
    assert described(account)["version"] == "1.31"
    until(account, 2026, 11, 29)
    assert (described(account)["version"], account.fleet.minors["prod"]) == ("1.32", "1.32")
    assert account.group()["version"] == "1.31"
    (id_,) = account.call("ListUpdates", name="prod")["updateIds"]
    update = account.call("DescribeUpdate", name="prod", updateId=id_)["update"]
    assert (update["type"], update["status"]) == ("VersionUpdate", "Successful")
    refused = account.refused("UpdateClusterVersion", name="prod", version="1.31")
    assert "at the end of its extended support" in refused.message
    # A step that somebody asks for can be taken back again.
    account.world.groups_must_match = False
    account.upgrade("1.33")
    assert account.upgrade("1.32")["type"] == "VersionRollback"


def test_there_is_no_way_back_to_a_minor_that_is_over(account: Account) -> None:
    account.cluster("1.31")
    until(account, 2026, 11, 25)
    account.upgrade("1.32")
    until(account, 2026, 11, 27)
    refused = account.refused("UpdateClusterVersion", name="prod", version="1.31")
    assert "unsupported Kubernetes version 1.31" in refused.message


@pytest.mark.parametrize(("policy", "minor"), [("STANDARD", "1.35"), ("EXTENDED", "1.34")])
def test_the_end_of_standard_support_is_up_to_the_policy(account: Account, policy: str, minor: str) -> None:
    account.cluster("1.34", upgradePolicy={"supportType": policy})
    until(account, 2026, 12, 5)
    assert described(account)["version"] == minor


def test_insights_keep_their_ids_and_since_when_they_stand(account: Account) -> None:
    account.cluster("1.31")
    account.call("CreateAddon", clusterName="prod", addonName="kube-proxy")
    account.pass_(5 * MINUTE_S)

    def listed() -> dict[str, dict[str, Any]]:
        return {one["id"]: one for one in account.call("ListInsights", clusterName="prod")["insights"]}

    before = listed()
    account.pass_(DAY_S)
    after = listed()
    assert set(before) == set(after)
    for id_, one in after.items():
        assert one["lastRefreshTime"] > before[id_]["lastRefreshTime"]
        assert one["lastTransitionTime"] == before[id_]["lastTransitionTime"]
    account.world.faults.ill = [Illness(of="prod", code="KmsKeyDisabled")]
    account.call("StartInsightsRefresh", clusterName="prod")
    account.pass_(3 * MINUTE_S)
    changed = {
        id_: one
        for id_, one in listed().items()
        if one["lastTransitionTime"] > after[id_]["lastTransitionTime"]
    }
    assert {(one["name"], one["insightStatus"]["status"]) for one in changed.values()} == {
        ("Cluster health issues", "ERROR"),
        ("Cluster health issues", "WARNING"),
    }


def test_what_is_in_the_way_back_is_named(account: Account) -> None:
    account.cluster("1.31")
    account.nodegroup()
    account.call("CreateAddon", clusterName="prod", addonName="kube-proxy")
    account.pass_(3 * MINUTE_S)
    account.upgrade("1.32")
    account.call("UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.32")
    call = {"clusterName": "prod", "addonName": "kube-proxy", "addonVersion": "v1.32.13-eksbuild.28"}
    account.call("UpdateAddon", **call)
    account.pass_(60 * MINUTE_S)
    account.call("StartInsightsRefresh", clusterName="prod")
    account.pass_(3 * MINUTE_S)
    back = {"categories": ["ROLLBACK_READINESS"]}
    (one,) = account.call("ListInsights", clusterName="prod", filter=back)["insights"]
    whole = account.call("DescribeInsight", clusterName="prod", id=one["id"])["insight"]
    assert (whole["insightStatus"]["status"], whole["kubernetesVersion"]) == ("ERROR", "1.31")
    assert [resource["arn"] for resource in whole["resources"]] == [account.group()["nodegroupArn"]]
    (addon,) = whole["categorySpecificSummary"]["addonCompatibilityDetails"]
    assert (addon["name"], "v1.31.14-eksbuild.32" in addon["compatibleVersions"]) == ("kube-proxy", True)
    assert "gpu" in whole["insightStatus"]["reason"]


def test_a_kube_proxy_that_stays_behind_is_told(account: Account) -> None:
    account.cluster("1.31")
    account.call("CreateAddon", clusterName="prod", addonName="kube-proxy")
    account.pass_(3 * MINUTE_S)
    for minor in ("1.32", "1.33", "1.34"):
        account.upgrade(minor)
    account.call("StartInsightsRefresh", clusterName="prod")
    account.pass_(3 * MINUTE_S)
    failing = account.call("ListInsights", clusterName="prod", filter={"statuses": ["ERROR"]})["insights"]
    assert "kube-proxy version skew" in {one["name"] for one in failing}


@pytest.mark.parametrize("code", MODEL.shape_for("NodegroupIssueCode").enum)
def test_a_group_is_ill_for_a_while(account: Account, code: str) -> None:
    account.cluster("1.31")
    account.nodegroup(size=1)
    account.world.faults.ill = [
        Illness(of="prod/nodegroup/gpu", code=code, until_s=account.now_s + 10 * MINUTE_S),
        Illness(of="other", code="Unknown"),
        Illness(of="prod/addon/none", code="Unknown"),
    ]
    account.pass_(2 * MINUTE_S)
    told = account.group()
    assert (told["status"], [one["code"] for one in told["health"]["issues"]]) == ("DEGRADED", [code])
    account.pass_(20 * MINUTE_S)
    told = account.group()
    assert (told["status"], told["health"]["issues"]) == ("ACTIVE", [])


@pytest.mark.parametrize("code", MODEL.shape_for("ClusterIssueCode").enum)
def test_a_cluster_is_ill_and_stays_active(account: Account, code: str) -> None:
    account.cluster("1.31")
    account.world.faults.ill = [Illness(of="prod", code=code, resource_ids=("subnet-a",))]
    account.pass_(MINUTE_S)
    told = described(account)
    assert (told["status"], told["health"]["issues"]) == (
        "ACTIVE",
        [{"code": code, "message": "injected", "resourceIds": ["subnet-a"]}],
    )


def test_an_add_on_is_degraded_while_it_is_ill(account: Account) -> None:
    account.cluster("1.31")
    account.call("CreateAddon", clusterName="prod", addonName="coredns")
    account.pass_(3 * MINUTE_S)
    account.world.faults.ill = [
        Illness(
            of="prod/addon/coredns",
            code="InsufficientNumberOfReplicas",
            from_s=account.now_s + 5 * MINUTE_S,
            until_s=account.now_s + 9 * MINUTE_S,
        )
    ]
    seen = []
    for _ in range(3):
        told = account.call("DescribeAddon", clusterName="prod", addonName="coredns")["addon"]
        seen.append(told["status"])
        account.pass_(6 * MINUTE_S)
    assert seen == ["ACTIVE", "DEGRADED", "ACTIVE"]


def failing(account: Account, operation: str, code: str) -> None:
    account.world.faults.waiting = [Fault(kind=Kind.FAIL, operation=operation, code=code)]


def test_a_cluster_that_cannot_be_made_says_why_and_can_be_deleted(account: Account) -> None:
    failing(account, "CreateCluster", "Ec2SubnetNotFound")
    vpc = {"subnetIds": ["subnet-a", "subnet-b"]}
    account.call("CreateCluster", name="prod", version="1.31", roleArn=ROLE, resourcesVpcConfig=vpc)
    assert account.refused("DeleteCluster", name="prod").code == "ResourceInUseException"
    account.pass_(11 * MINUTE_S)
    told = described(account)
    assert (told["status"], told["health"]["issues"][0]["code"]) == ("FAILED", "Ec2SubnetNotFound")
    assert (
        "not in ACTIVE status" in account.refused("UpdateClusterVersion", name="prod", version="1.32").message
    )
    account.call("DeleteCluster", name="prod")


def test_a_group_that_cannot_be_made_takes_no_update_and_can_be_deleted(account: Account) -> None:
    account.cluster("1.31")
    failing(account, "CreateNodegroup", "IamNodeRoleNotFound")
    call = {"clusterName": "prod", "nodegroupName": "gpu"}
    account.call("CreateNodegroup", **call, nodeRole=ROLE, subnets=["subnet-a"])
    account.pass_(3 * MINUTE_S)
    told = account.group()
    assert (told["status"], told["health"]["issues"][0]["code"]) == ("CREATE_FAILED", "IamNodeRoleNotFound")
    refused = account.refused("UpdateNodegroupConfig", **call, nodeRepairConfig={"enabled": True})
    assert refused.code == "ResourceInUseException"
    failing(account, "DeleteNodegroup", "Ec2SecurityGroupDeletionFailure")
    account.call("DeleteNodegroup", **call)
    account.pass_(5 * MINUTE_S)
    assert account.group()["status"] == "DELETE_FAILED"
    account.call("DeleteNodegroup", **call)
    account.pass_(5 * MINUTE_S)
    assert account.refused("DescribeNodegroup", **call).code == "ResourceNotFoundException"


def test_an_add_on_that_cannot_be_made(account: Account) -> None:
    account.cluster("1.31")
    failing(account, "CreateAddon", "AdmissionRequestDenied")
    account.call("CreateAddon", clusterName="prod", addonName="coredns")
    account.pass_(3 * MINUTE_S)
    told = account.call("DescribeAddon", clusterName="prod", addonName="coredns")["addon"]
    assert (told["status"], told["health"]["issues"][0]["code"]) == (
        "CREATE_FAILED",
        "AdmissionRequestDenied",
    )
