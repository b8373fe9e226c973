"""UpdateClusterConfig, AssociateEncryptionConfig, UpdateNodegroupConfig: what they change, and what they refuse."""

from typing import Any

import pytest

from tests.eks.fake.worlds import MINUTE_S, ROLE, Account

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
ALL_LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


@pytest.fixture
def account() -> Account:
    made = Account()
    made.free["subnet-c"] = 100
    made.cluster("1.34")
    return made


def configured(account: Account, **call: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The update that is over, and the cluster."""
    id_ = account.call("UpdateClusterConfig", name="prod", **call)["update"]["id"]
    account.pass_(2 * MINUTE_S)
    update = account.call("DescribeUpdate", name="prod", updateId=id_)["update"]
    assert update["status"] == "Successful"
    return update, account.call("DescribeCluster", name="prod")["cluster"]


AUTO_ON = {
    "computeConfig": {"enabled": True, "nodePools": ["system"], "nodeRoleArn": ROLE},
    "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
    "storageConfig": {"blockStorage": {"enabled": True}},
}


@pytest.mark.parametrize(
    ("call", "type_", "param"),
    [
        ({"upgradePolicy": {"supportType": "STANDARD"}}, "UpgradePolicyUpdate", "UpgradePolicy"),
        ({"deletionProtection": True}, "DeletionProtectionUpdate", "DeletionProtection"),
        ({"zonalShiftConfig": {"enabled": True}}, "ZonalShiftConfigUpdate", "ZonalShiftConfig"),
        (
            {"controlPlaneScalingConfig": {"tier": "tier-xl"}},
            "ControlPlaneScalingConfigUpdate",
            "UpdatedTier",
        ),
        (
            {"remoteNetworkConfig": {"remoteNodeNetworks": [{"cidrs": ["10.1.0.0/16"]}]}},
            "RemoteNetworkConfigUpdate",
            "RemoteNetworkConfig",
        ),
        (
            {"kubeApiServerConfig": {"eventTtl": "2h"}},
            "ControlPlaneComponentConfigUpdate",
            "KubeApiServerConfig",
        ),
        (AUTO_ON, "AutoModeUpdate", "ComputeConfig"),
    ],
)
def test_what_is_set_is_told(account: Account, call: dict[str, Any], type_: str, param: str) -> None:
    update, cluster = configured(account, **call)
    assert (update["type"], param in {one["type"] for one in update["params"]}) == (type_, True)
    for key, value in call.items():
        told = cluster[key]
        assert told == value or value.items() <= told.items()
    again = account.refused("UpdateClusterConfig", name="prod", **call)
    assert "already at the desired configuration" in again.message


def test_logs_by_type(account: Account) -> None:
    first = {"clusterLogging": [{"types": ["audit", "api"], "enabled": True}]}
    update, cluster = configured(account, logging=first)
    assert update["type"] == "LoggingUpdate"
    assert cluster["logging"]["clusterLogging"] == [
        {"types": ["api", "audit"], "enabled": True},
        {"types": ["authenticator", "controllerManager", "scheduler"], "enabled": False},
    ]
    assert "No changes needed" in account.refused("UpdateClusterConfig", name="prod", logging=first).message
    _, cluster = configured(account, logging={"clusterLogging": [{"types": ALL_LOGS, "enabled": False}]})
    assert cluster["logging"]["clusterLogging"] == [{"types": ALL_LOGS, "enabled": False}]


def test_endpoint_and_places(account: Account) -> None:
    update, cluster = configured(
        account, resourcesVpcConfig={"endpointPrivateAccess": True, "endpointPublicAccess": False}
    )
    assert update["type"] == "EndpointAccessUpdate"
    assert {"type": "EndpointPublicAccess", "value": "false"} in update["params"]
    assert cluster["resourcesVpcConfig"]["subnetIds"] == ["subnet-a", "subnet-b"]
    update, cluster = configured(account, resourcesVpcConfig={"securityGroupIds": ["sg-1"]})
    assert update["type"] == "VpcConfigUpdate"
    assert cluster["resourcesVpcConfig"]["securityGroupIds"] == ["sg-1"]


@pytest.mark.parametrize(
    ("vpc", "says"),
    [
        ({"endpointPublicAccess": False}, "Private and public endpoint access cannot be false"),
        ({"publicAccessCidrs": ["10.0.0.1", "10.0.0.0/8"]}, "invalid in publicAccessCidrs: ['10.0.0.1']"),
        ({"subnetIds": ["subnet-a"]}, "at least two different AZs"),
        ({"subnetIds": ["subnet-a", "subnet-c"]}, "zones that the cluster was created in"),
        ({"subnetIds": ["subnet-z"]}, "does not exist"),
        ({"subnetIds": ["subnet-a"], "endpointPublicAccess": False}, "Only one type of update"),
    ],
)
def test_a_network_that_cannot_be(account: Account, vpc: dict[str, Any], says: str) -> None:
    assert says in account.refused("UpdateClusterConfig", name="prod", resourcesVpcConfig=vpc).message


def test_new_subnets_need_addresses(account: Account) -> None:
    account.free["subnet-b"] = 4
    subnets = {"subnetIds": ["subnet-b", "subnet-a"]}
    refused = account.refused("UpdateClusterConfig", name="prod", resourcesVpcConfig=subnets)
    assert "subnet-b Free IPs: 4" in refused.message


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({}, "type for cluster update was not provided"),
        ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "Unsupported authentication mode update"),
        ({"computeConfig": {"enabled": True}}, "all either fully enabled or fully disabled"),
        (
            {**AUTO_ON, "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.0.0.0/16"}},
            "fixed once a cluster is created",
        ),
    ],
)
def test_what_cannot_be_set(account: Account, call: dict[str, Any], says: str) -> None:
    assert says in account.refused("UpdateClusterConfig", name="prod", **call).message


def test_the_way_to_access_entries_is_one_way_and_step_by_step() -> None:
    account = Account()
    vpc = {"subnetIds": ["subnet-a", "subnet-b"]}
    needed = {"name": "old", "roleArn": ROLE, "resourcesVpcConfig": vpc}
    no_admin = {"bootstrapClusterCreatorAdminPermissions": False}
    refused = account.refused("CreateCluster", **needed, accessConfig=no_admin)
    assert "must be true if cluster authentication mode is set to CONFIG_MAP" in refused.message
    account.call("CreateCluster", **needed)
    account.pass_(11 * MINUTE_S)
    for mode, goes in (("API", False), ("API_AND_CONFIG_MAP", True), ("API", True), ("CONFIG_MAP", False)):
        call: dict[str, Any] = {"name": "old", "accessConfig": {"authenticationMode": mode}}
        if goes:
            account.call("UpdateClusterConfig", **call)
            account.pass_(2 * MINUTE_S)
        else:
            assert "Unsupported authentication mode" in account.refused("UpdateClusterConfig", **call).message


def test_secrets_are_encrypted_once(account: Account) -> None:
    wanted = [{"resources": ["secrets"], "provider": {"keyArn": KEY}}]
    for bad, says in (
        ([{"resources": ["pods"], "provider": {"keyArn": KEY}}], "secrets alone"),
        ([{"resources": ["secrets"], "provider": {"keyArn": "alias/a"}}], "ARN of a KMS key"),
    ):
        refused = account.refused("AssociateEncryptionConfig", clusterName="prod", encryptionConfig=bad)
        assert says in refused.message
    account.call("AssociateEncryptionConfig", clusterName="prod", encryptionConfig=wanted)
    account.pass_(2 * MINUTE_S)
    assert account.call("DescribeCluster", name="prod")["cluster"]["encryptionConfig"] == wanted
    again = account.refused("AssociateEncryptionConfig", clusterName="prod", encryptionConfig=wanted)
    assert "cannot be changed" in again.message


def test_a_protected_cluster_stays(account: Account) -> None:
    configured(account, deletionProtection=True)
    assert "deletion protection" in account.refused("DeleteCluster", name="prod").message
    configured(account, deletionProtection=False)
    account.call("DeleteCluster", name="prod")
    assert account.call("DeleteCluster", name="prod")["cluster"]["status"] == "DELETING"


def sized(account: Account, **call: Any) -> dict[str, Any]:
    account.call("UpdateNodegroupConfig", clusterName="prod", nodegroupName="gpu", **call)
    account.pass_(2 * MINUTE_S)
    return account.group()


def test_how_nodes_are_replaced(account: Account) -> None:
    account.nodegroup()
    assert account.group()["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "DEFAULT"}
    told = sized(account, updateConfig={"updateStrategy": "MINIMAL"})
    assert told["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}
    told = sized(account, updateConfig={"maxUnavailablePercentage": 50})
    assert told["updateConfig"] == {"maxUnavailablePercentage": 50, "updateStrategy": "MINIMAL"}
    assert sized(account, nodeRepairConfig={"enabled": True})["nodeRepairConfig"] == {"enabled": True}


TAINT = {"key": "gpu", "value": "yes", "effect": "NO_SCHEDULE"}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({}, "Nothing is to be changed"),
        ({"scalingConfig": {"minSize": 9}}, "can't be greater than maximum size 3"),
        ({"scalingConfig": {"desiredSize": 4}}, "can't be greater than max size 3"),
        ({"updateConfig": {"maxUnavailable": 1, "maxUnavailablePercentage": 5}}, "exclude each other"),
        ({"updateConfig": {"maxUnavailable": 101}}, "100 at most"),
        ({"updateConfig": {"updateStrategy": "FAST"}}, "none of DEFAULT, MINIMAL"),
        ({"labels": {"addOrUpdateLabels": {"k8s.io/a": "b"}}}, "reserved prefixes"),
        ({"labels": {"addOrUpdateLabels": {"a b": "c"}}}, "is not valid"),
        ({"labels": {"addOrUpdateLabels": {"a": "b"}, "removeLabels": ["a"]}}, "added and removed at once"),
        ({"taints": {"addOrUpdateTaints": [TAINT], "removeTaints": [TAINT]}}, "added and removed at once"),
        ({"taints": {"addOrUpdateTaints": [{"key": "gpu"}]}}, "needs an effect"),
    ],
)
def test_what_a_group_cannot_be(account: Account, call: dict[str, Any], says: str) -> None:
    account.nodegroup()
    refused = account.refused("UpdateNodegroupConfig", clusterName="prod", nodegroupName="gpu", **call)
    assert says in refused.message


def test_a_change_of_labels_is_told(account: Account) -> None:
    account.nodegroup(labels={"a": "1"})
    id_ = account.call(
        "UpdateNodegroupConfig",
        clusterName="prod",
        nodegroupName="gpu",
        labels={"addOrUpdateLabels": {"b": "2"}, "removeLabels": ["a"]},
    )["update"]["id"]
    account.pass_(2 * MINUTE_S)
    update = account.call("DescribeUpdate", name="prod", updateId=id_, nodegroupName="gpu")["update"]
    assert {one["type"]: one["value"] for one in update["params"]} == {
        "LabelsToAdd": '{"b": "2"}',
        "LabelsToRemove": '["a"]',
    }
    assert account.group()["labels"] == {"b": "2"}
