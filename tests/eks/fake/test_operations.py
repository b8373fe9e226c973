"""Each operation of EKS that the fake has: one call that is answered, one that is refused."""

from typing import Any

import pytest

from aliquot.eks.fake.service import PLACED, RULES
from tests.eks.fake.worlds import MINUTE_S, ROLE, Account

PROD = {"clusterName": "prod"}
NONE = {"clusterName": "none"}
GROUP = {**PROD, "nodegroupName": "gpu"}
ADDON = {**PROD, "addonName": "coredns"}
PROFILE = {**PROD, "fargateProfileName": "web"}
PRINCIPAL = "arn:aws:iam::123456789012:role/ops"
ENTRY = {**PROD, "principalArn": PRINCIPAL}
NOBODY = {**PROD, "principalArn": "arn:aws:iam::123456789012:role/none"}
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
VPC = {"subnetIds": ["subnet-a", "subnet-b"]}
POD = {"namespace": "web", "serviceAccount": "shop", "roleArn": ROLE}
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
ENCRYPTED = [{"resources": ["secrets"], "provider": {"keyArn": KEY}}]
NO_ARN = "arn:aws:eks:eu-west-1:123456789012:cluster/none"

MISSING, WRONG, USED, NOT_NOW = (
    "ResourceNotFoundException",
    "InvalidParameterException",
    "ResourceInUseException",
    "InvalidRequestException",
)

# Call that is answered, call that is refused, and how. {…} stands for what the account has.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "AssociateAccessPolicy": (
        {**ENTRY, "policyArn": VIEW, "accessScope": {"type": "cluster"}},
        {**ENTRY, "policyArn": VIEW, "accessScope": {"type": "namespace"}},
        WRONG,
    ),
    "AssociateEncryptionConfig": (
        {**PROD, "encryptionConfig": ENCRYPTED},
        {**PROD, "encryptionConfig": [{"resources": ["secrets"]}]},
        WRONG,
    ),
    "CancelUpdate": (
        {"name": "auto", "updateId": "{rollback}"},
        {"name": "prod", "updateId": "{update}"},
        NOT_NOW,
    ),
    "CreateAccessEntry": ({**NOBODY}, {**ENTRY}, USED),
    "CreateAddon": ({**PROD, "addonName": "vpc-cni"}, {**ADDON}, USED),
    "CreateCluster": (
        {"name": "new", "roleArn": ROLE, "resourcesVpcConfig": VPC},
        {"name": "prod", "roleArn": ROLE, "resourcesVpcConfig": VPC},
        USED,
    ),
    "CreateFargateProfile": (
        {**PROD, "fargateProfileName": "b", "podExecutionRoleArn": ROLE, "selectors": [{"namespace": "b"}]},
        {**PROFILE, "podExecutionRoleArn": ROLE, "selectors": [{"namespace": "b"}]},
        USED,
    ),
    "CreateNodegroup": (
        {**PROD, "nodegroupName": "b", "nodeRole": ROLE, "subnets": ["subnet-a"]},
        {**GROUP, "nodeRole": ROLE, "subnets": ["subnet-a"]},
        USED,
    ),
    "CreatePodIdentityAssociation": (
        {**PROD, **POD, "serviceAccount": "b"},
        {**PROD, **POD},
        USED,
    ),
    "DeleteAccessEntry": ({**ENTRY}, {**NOBODY}, MISSING),
    "DeleteAddon": ({**ADDON}, {**PROD, "addonName": "vpc-cni"}, MISSING),
    "DeleteCluster": ({"name": "auto"}, {"name": "prod"}, USED),
    "DeleteFargateProfile": ({**PROFILE}, {**PROFILE, "fargateProfileName": "b"}, MISSING),
    "DeleteNodegroup": ({**GROUP}, {**GROUP, "nodegroupName": "b"}, MISSING),
    "DeletePodIdentityAssociation": (
        {**PROD, "associationId": "{association}"},
        {**PROD, "associationId": "a-0"},
        MISSING,
    ),
    "DescribeAccessEntry": ({**ENTRY}, {**NOBODY}, MISSING),
    "DescribeAddon": ({**ADDON}, {**PROD, "addonName": "vpc-cni"}, MISSING),
    "DescribeAddonConfiguration": (
        {"addonName": "coredns", "addonVersion": "v1.11.4-eksbuild.53"},
        {"addonName": "coredns", "addonVersion": "v0"},
        MISSING,
    ),
    "DescribeAddonVersions": ({"addonName": "coredns"}, {"addonName": "none"}, MISSING),
    "DescribeCluster": ({"name": "prod"}, {"name": "none"}, MISSING),
    "DescribeClusterVersions": ({}, {"versionStatus": "OLD"}, WRONG),
    "DescribeFargateProfile": ({**PROFILE}, {**PROFILE, "fargateProfileName": "b"}, MISSING),
    "DescribeInsight": ({**PROD, "id": "{insight}"}, {**PROD, "id": "0"}, MISSING),
    "DescribeInsightsRefresh": ({**PROD}, {**NONE}, MISSING),
    "DescribeNodegroup": ({**GROUP}, {**GROUP, "nodegroupName": "b"}, MISSING),
    "DescribePodIdentityAssociation": (
        {**PROD, "associationId": "{association}"},
        {**PROD, "associationId": "a-0"},
        MISSING,
    ),
    "DescribeUpdate": (
        {"name": "prod", "updateId": "{update}"},
        {"name": "prod", "updateId": "{update}", "nodegroupName": "gpu"},
        MISSING,
    ),
    "DisassociateAccessPolicy": (
        {**ENTRY, "policyArn": VIEW.replace("View", "Edit")},
        {**ENTRY, "policyArn": VIEW},
        MISSING,
    ),
    "ListAccessEntries": ({**PROD}, {**NONE}, MISSING),
    "ListAccessPolicies": ({}, {"maxResults": 0}, WRONG),
    "ListAddons": ({**PROD}, {**NONE}, MISSING),
    "ListAssociatedAccessPolicies": ({**ENTRY}, {**NOBODY}, MISSING),
    "ListClusters": ({}, {"maxResults": 101}, WRONG),
    "ListFargateProfiles": ({**PROD}, {**NONE}, MISSING),
    "ListIdentityProviderConfigs": ({**PROD}, {}, WRONG),
    "ListInsights": ({**PROD}, {**NONE}, MISSING),
    "ListNodegroups": ({**PROD}, {**NONE}, MISSING),
    "ListPodIdentityAssociations": ({**PROD}, {**NONE}, MISSING),
    "ListTagsForResource": ({"resourceArn": "{arn}"}, {"resourceArn": NO_ARN}, "NotFoundException"),
    "ListUpdates": ({"name": "prod"}, {"name": "prod", "addonName": "vpc-cni"}, MISSING),
    "StartInsightsRefresh": ({**PROD}, {**NONE}, MISSING),
    "TagResource": (
        {"resourceArn": "{arn}", "tags": {"a": "b"}},
        {"resourceArn": NO_ARN, "tags": {"a": "b"}},
        "NotFoundException",
    ),
    "UntagResource": (
        {"resourceArn": "{arn}", "tagKeys": ["a"]},
        {"resourceArn": NO_ARN, "tagKeys": ["a"]},
        "NotFoundException",
    ),
    "UpdateAccessEntry": ({**ENTRY, "kubernetesGroups": ["ops"]}, {**NOBODY}, MISSING),
    "UpdateAddon": ({**ADDON, "resolveConflicts": "PRESERVE"}, {**ADDON, "addonVersion": "v0"}, WRONG),
    "UpdateClusterConfig": (
        {"name": "prod", "zonalShiftConfig": {"enabled": True}},
        {"name": "prod", "deletionProtection": True, "zonalShiftConfig": {"enabled": True}},
        WRONG,
    ),
    "UpdateClusterVersion": ({"name": "prod", "version": "1.32"}, {"name": "prod", "version": "1.34"}, WRONG),
    "UpdateNodegroupConfig": ({**GROUP, "labels": {"addOrUpdateLabels": {"a": "b"}}}, {**GROUP}, WRONG),
    "UpdateNodegroupVersion": (
        {**GROUP, "releaseVersion": "1.31.14-20260715"},
        {**GROUP, "version": "1.33"},
        WRONG,
    ),
    "UpdatePodIdentityAssociation": (
        {**PROD, "associationId": "{association}", "roleArn": f"{ROLE}2"},
        {**PROD, "associationId": "a-0"},
        MISSING,
    ),
}


@pytest.fixture
def account() -> Account:
    """One cluster with something of everything, and one of Auto Mode that is on its way back."""
    made = Account()
    made.cluster("1.31")
    made.nodegroup(size=1)
    made.call("CreateAddon", **ADDON)
    made.call("CreateFargateProfile", **PROFILE, podExecutionRoleArn=ROLE, selectors=[{"namespace": "web"}])
    made.call("CreateAccessEntry", **ENTRY)
    edit = {"policyArn": VIEW.replace("View", "Edit"), "accessScope": {"type": "cluster"}}
    made.call("AssociateAccessPolicy", **ENTRY, **edit)
    made.call("CreatePodIdentityAssociation", **PROD, **POD)
    made.call("UpdateClusterConfig", name="prod", kubeApiServerConfig={"eventTtl": "2h"})
    auto = {"computeConfig": {"enabled": True}}
    made.call("CreateCluster", name="auto", version="1.31", roleArn=ROLE, resourcesVpcConfig=VPC, **auto)
    made.pass_(11 * MINUTE_S)
    made.call("UpdateClusterVersion", name="auto", version="1.32")
    made.pass_(11 * MINUTE_S)
    return made


def filled(account: Account, call: dict[str, Any]) -> dict[str, Any]:
    """With what the account has, in place of {…}."""

    def value(text: str) -> str:
        if text == "{association}":
            return str(
                account.call("ListPodIdentityAssociations", **PROD)["associations"][0]["associationId"]
            )
        if text == "{insight}":
            return str(account.call("ListInsights", **PROD)["insights"][0]["id"])
        if text == "{rollback}":
            return str(account.call("UpdateClusterVersion", name="auto", version="1.31")["update"]["id"])
        if text == "{arn}":
            return str(account.call("DescribeCluster", name="prod")["cluster"]["arn"])
        assert text == "{update}", text
        return str(account.call("ListUpdates", name="prod")["updateIds"][0])

    return {key: value(one) if isinstance(one, str) and one[:1] == "{" else one for key, one in call.items()}


def test_all_are_here() -> None:
    assert set(CASES) == set(RULES) | set(PLACED)


@pytest.mark.parametrize(
    ("code", "now", "operation"),
    [
        ("L-1194D53C", 2, "CreateCluster"),
        ("L-6D54EA21", 1, "CreateNodegroup"),
        ("L-BD136A63", 1, "CreateNodegroup"),
        ("L-33415657", 1, "CreateFargateProfile"),
    ],
)
def test_one_more_than_the_quota(account: Account, code: str, now: int, operation: str) -> None:
    well, _, _ = CASES[operation]
    account.world.quotas["eks", code] = now
    assert account.refused(operation, **well).code == "ResourceLimitExceededException"
    account.world.quotas["eks", code] = now + 1
    account.call(operation, **well)


@pytest.mark.parametrize("operation", CASES)
def test_answered_and_refused(account: Account, operation: str) -> None:
    well, badly, code = CASES[operation]
    refused = account.refused(operation, **filled(account, badly))
    assert (refused.code, bool(refused.message)) == (code, True)
    # What was refused has changed nothing: the other call is answered all the same.
    account.call(operation, **filled(account, well))
