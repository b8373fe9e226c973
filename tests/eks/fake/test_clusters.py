from typing import Any

import pytest

from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.service import PLACED, RULES, Lost
from tests.eks.fake.worlds import DAY_S, MINUTE_S, MODEL, ROLE, Account


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_cluster_takes_its_minutes(account: Account) -> None:
    account.call(
        "CreateCluster",
        name="prod",
        version="1.31",
        roleArn=ROLE,
        resourcesVpcConfig={"subnetIds": ["subnet-a", "subnet-b"]},
    )
    account.pass_(9 * MINUTE_S)
    assert account.call("DescribeCluster", name="prod")["cluster"]["status"] == "CREATING"
    account.pass_(2 * MINUTE_S)
    assert account.call("DescribeCluster", name="prod")["cluster"]["status"] == "ACTIVE"


def test_one_minor_up_at_a_time(account: Account) -> None:
    account.cluster("1.31")
    assert account.refused("UpdateClusterVersion", name="prod", version="1.33").message == (
        "Unsupported Kubernetes minor version update from 1.31 to 1.33"
    )
    update = account.upgrade("1.32")
    assert (update["status"], update["type"]) == ("Successful", "VersionUpdate")
    assert account.call("DescribeCluster", name="prod")["cluster"]["version"] == "1.32"
    assert account.fleet.minors["prod"] == "1.32"


def test_one_update_at_a_time(account: Account) -> None:
    account.cluster("1.31")
    account.call("UpdateClusterVersion", name="prod", version="1.32")
    for operation, more in (
        ("UpdateClusterVersion", {"version": "1.32"}),
        ("UpdateClusterConfig", {"deletionProtection": True}),
    ):
        assert account.refused(operation, name="prod", **more).code == "ResourceInUseException"


def test_what_a_new_cluster_may_be(account: Account) -> None:
    vpc = {"subnetIds": ["subnet-a", "subnet-b"]}
    cases: dict[str, dict[str, Any]] = {
        "unsupported Kubernetes version 1.30": {"version": "1.30", "resourcesVpcConfig": vpc},
        "unsupported Kubernetes version 1.99": {"version": "1.99", "resourcesVpcConfig": vpc},
        "at least two different AZs": {"resourcesVpcConfig": {"subnetIds": ["subnet-a"]}},
        "does not exist": {"resourcesVpcConfig": {"subnetIds": ["subnet-z"]}},
    }
    for says, more in cases.items():
        assert says in account.refused("CreateCluster", name="prod", roleArn=ROLE, **more).message
    account.pass_(60 * DAY_S)
    assert (
        "unsupported Kubernetes version 1.31"
        in account.refused(
            "CreateCluster", name="prod", version="1.31", roleArn=ROLE, resourcesVpcConfig=vpc
        ).message
    )


def test_five_addresses_of_each_subnet_have_to_be_free(account: Account) -> None:
    account.cluster("1.31")
    account.free["subnet-b"] = 4
    refused = account.refused("UpdateClusterVersion", name="prod", version="1.32")
    assert refused.code == "InvalidRequestException"
    assert "subnet-b Free IPs: 4" in refused.message
    account.free["subnet-b"] = 5
    account.call("UpdateClusterVersion", name="prod", version="1.32")


def test_node_groups_come_first(account: Account) -> None:
    account.cluster("1.31")
    account.nodegroup()
    account.upgrade("1.32")
    assert (
        "must be updated to match cluster version 1.32"
        in account.refused("UpdateClusterVersion", name="prod", version="1.33").message
    )
    account.world.groups_must_match = False
    account.upgrade("1.33")
    account.upgrade("1.34")
    assert "Nodegroups gpu" in account.refused("UpdateClusterVersion", name="prod", version="1.35").message


@pytest.mark.parametrize(("days", "reason"), [(1, ""), (6, ""), (8, "more than 7 days ago")])
def test_back_within_seven_days(account: Account, days: int, reason: str) -> None:
    account.cluster("1.31")
    account.upgrade("1.32")
    account.pass_(days * DAY_S)
    if reason:
        assert reason in account.refused("UpdateClusterVersion", name="prod", version="1.31").message
        return
    update = account.upgrade("1.31")
    assert (update["status"], update["type"]) == ("Successful", "VersionRollback")
    assert (
        "it was created at 1.31"
        in account.refused("UpdateClusterVersion", name="prod", version="1.30").message
    )


def test_no_way_back_from_where_it_was_created_nor_after_another_step(account: Account) -> None:
    account.cluster("1.32")
    assert (
        "it was created at 1.32"
        in account.refused("UpdateClusterVersion", name="prod", version="1.31").message
    )
    account.upgrade("1.33")
    account.upgrade("1.34")
    assert "from 1.34 to 1.32" in account.refused("UpdateClusterVersion", name="prod", version="1.32").message
    assert account.upgrade("1.33")["status"] == "Successful"


def test_nodes_go_back_first(account: Account) -> None:
    account.cluster("1.31")
    account.nodegroup()
    account.upgrade("1.32")
    account.call("UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.32")
    account.pass_(60 * MINUTE_S)
    refused = account.refused("UpdateClusterVersion", name="prod", version="1.31")
    assert (refused.code, "Rollback readiness" in refused.message) == ("InvalidStateException", True)
    account.call("UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version="1.31")
    account.pass_(60 * MINUTE_S)
    assert account.upgrade("1.31")["status"] == "Successful"


def test_a_token_is_answered_once(account: Account) -> None:
    account.cluster("1.31")
    first = account.call("UpdateClusterVersion", name="prod", version="1.32", clientRequestToken="t1")
    again = account.call("UpdateClusterVersion", name="prod", version="1.32", clientRequestToken="t1")
    assert first["update"]["id"] == again["update"]["id"]
    assert (
        "other parameters"
        in account.refused(
            "UpdateClusterVersion", name="prod", version="1.33", clientRequestToken="t1"
        ).message
    )


def test_what_goes_wrong_on_request(account: Account) -> None:
    account.cluster("1.31")
    account.world.faults.waiting = [
        Fault(
            kind=Kind.REFUSE,
            operation="UpdateClusterVersion",
            code="ThrottlingException",
            message="Rate exceeded",
        ),
        Fault(kind=Kind.LOSE, operation="UpdateClusterVersion"),
        Fault(kind=Kind.FAIL, operation="UpdateClusterVersion", code="IpNotAvailable"),
    ]
    assert account.refused("UpdateClusterVersion", name="prod", version="1.32").code == "ThrottlingException"
    with pytest.raises(Lost):
        account.call("UpdateClusterVersion", name="prod", version="1.32")
    account.pass_(10 * MINUTE_S)
    (id_,) = account.call("ListUpdates", name="prod")["updateIds"]
    update = account.call("DescribeUpdate", name="prod", updateId=id_)["update"]
    assert (update["status"], update["errors"][0]["errorCode"]) == ("Failed", "IpNotAvailable")
    cluster = account.call("DescribeCluster", name="prod")["cluster"]
    assert (cluster["version"], cluster["status"]) == ("1.31", "ACTIVE")


def test_parameters_are_the_models(account: Account) -> None:
    for operation, parameters in (
        ("CreateCluster", {"name": "prod"}),
        ("DescribeCluster", {"name": 5}),
        ("UpdateClusterConfig", {"name": "prod", "upgradePolicy": {"supportType": "FOREVER"}}),
    ):
        assert account.refused(operation, **parameters).code == "InvalidParameterException"


def test_configuration_is_changed_one_kind_at_a_time_and_kept_beside(account: Account) -> None:
    account.cluster("1.31")
    account.call("UpdateClusterConfig", name="prod", resourcesVpcConfig={"endpointPrivateAccess": True})
    account.pass_(2 * MINUTE_S)
    vpc = account.call("DescribeCluster", name="prod")["cluster"]["resourcesVpcConfig"]
    assert vpc["endpointPrivateAccess"]
    assert vpc["subnetIds"] == ["subnet-a", "subnet-b"]
    two = account.refused(
        "UpdateClusterConfig", name="prod", deletionProtection=True, upgradePolicy={"supportType": "EXTENDED"}
    )
    assert "one kind" in two.message
    late = account.refused("UpdateClusterConfig", name="prod", upgradePolicy={"supportType": "STANDARD"})
    assert "Extended support cannot be disabled" in late.message


def test_a_cluster_goes_when_nothing_is_left_of_it(account: Account) -> None:
    account.cluster("1.31")
    account.nodegroup()
    assert account.refused("DeleteCluster", name="prod").code == "ResourceInUseException"
    account.call("DeleteNodegroup", clusterName="prod", nodegroupName="gpu")
    account.pass_(3 * MINUTE_S)
    account.call("DeleteCluster", name="prod")
    account.pass_(4 * MINUTE_S)
    assert account.refused("DescribeCluster", name="prod").code == "ResourceNotFoundException"


def test_lists_come_in_pages(account: Account) -> None:
    account.cluster("1.31")
    for number in range(5):
        account.nodegroup(f"g{number}", 0)
    seen, token = [], None
    while True:
        more: dict[str, Any] = {"nextToken": token} if token else {}
        page = account.call("ListNodegroups", clusterName="prod", maxResults=2, **more)
        seen += page["nodegroups"]
        token = page.get("nextToken")
        if token is None:
            break
    assert seen == [f"g{number}" for number in range(5)]
    with pytest.raises(Refused, match="none of ours"):
        account.call("ListNodegroups", clusterName="prod", nextToken="x")


def test_what_the_fake_does_not_know_it_says_by_name(account: Account) -> None:
    """All that botocore's model has are answered or refused by name: none as if it were wrong to ask."""
    unknown = set(MODEL.names) - set(RULES) - set(PLACED)
    assert len(MODEL.names) == len(unknown) + len(RULES) + len(PLACED)
    assert "RegisterCluster" in unknown
    refused = account.refused(
        "RegisterCluster", name="a", connectorConfig={"roleArn": ROLE, "provider": "OTHER"}
    )
    assert refused.message == "the fake does not know RegisterCluster"
    issuer = account.cluster("1.31")["identity"]["oidc"]["issuer"]
    assert issuer.startswith("https://oidc.eks.eu-west-1.amazonaws.com/id/")
