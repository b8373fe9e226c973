import json
from typing import Any

import pytest

from aliquot.eks.fake.fleet import Requested
from tests.eks.fake.worlds import DAY_S, MINUTE_S, ROLE, START_S, Account


@pytest.fixture
def account() -> Account:
    made = Account()
    made.cluster("1.31")
    return made


def addon(account: Account, name: str) -> dict[str, Any]:
    told: dict[str, Any] = account.call("DescribeAddon", clusterName="prod", addonName=name)["addon"]
    return told


def created(account: Account, name: str = "coredns") -> dict[str, Any]:
    account.call("CreateAddon", clusterName="prod", addonName=name)
    account.pass_(2 * MINUTE_S)
    return addon(account, name)


def test_an_add_on_comes_in_the_default_build_of_its_minor(account: Account) -> None:
    assert (created(account)["addonVersion"], addon(account, "coredns")["status"]) == (
        "v1.11.4-eksbuild.53",
        "ACTIVE",
    )
    refused = account.refused(
        "UpdateAddon", clusterName="prod", addonName="coredns", addonVersion="v1.14.3-eksbuild.16"
    )
    assert "not supported" in refused.message


@pytest.mark.parametrize(
    ("resolve", "status", "error"),
    [
        ("NONE", "UPDATE_FAILED", "ConfigurationConflict"),
        ("PRESERVE", "ACTIVE", ""),
        ("OVERWRITE", "ACTIVE", ""),
    ],
)
def test_what_somebody_changed_in_the_cluster(
    account: Account, resolve: str, status: str, error: str
) -> None:
    created(account, "kube-proxy")
    account.upgrade("1.32")
    account.world.clusters["prod"].addons["kube-proxy"].drifted = True
    update = account.call(
        "UpdateAddon",
        clusterName="prod",
        addonName="kube-proxy",
        addonVersion="v1.32.13-eksbuild.28",
        resolveConflicts=resolve,
    )["update"]
    account.pass_(2 * MINUTE_S)
    told = account.call("DescribeUpdate", name="prod", updateId=update["id"], addonName="kube-proxy")[
        "update"
    ]
    assert [one["errorCode"] for one in told["errors"]] == ([error] if error else [])
    assert addon(account, "kube-proxy")["status"] == status
    wanted = "v1.31.14-eksbuild.32" if error else "v1.32.13-eksbuild.28"
    assert addon(account, "kube-proxy")["addonVersion"] == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"replicaCount": 3}', ""),
        ("replicaCount", "not in valid JSON"),
        ("[]", "is not supported"),
        ('{"replicas": 3}', "$.replicas: is not defined in the schema"),
        ('{"replicaCount": "3"}', "$.replicaCount: str found, integer expected"),
    ],
)
def test_what_an_add_on_may_be_told_its_schema_says(account: Account, text: str, says: str) -> None:
    call = {"clusterName": "prod", "addonName": "coredns", "configurationValues": text}
    if says:
        assert says in account.refused("CreateAddon", **call).message
    else:
        account.call("CreateAddon", **call)
        assert addon(account, "coredns")["configurationValues"] == text
    told = account.call("DescribeAddonConfiguration", addonName="coredns", addonVersion="v1.11.4-eksbuild.53")
    assert json.loads(told["configurationSchema"])["properties"]["replicaCount"] == {"type": "integer"}


def test_what_an_update_leaves_out_is_taken_away(account: Account) -> None:
    values = '{"mode": "ipvs"}'
    given = {"serviceAccountRoleArn": ROLE, "configurationValues": values}
    call = {"clusterName": "prod", "addonName": "kube-proxy"}
    account.call("CreateAddon", **call, **given)
    account.pass_(2 * MINUTE_S)
    update = account.call("UpdateAddon", **call, **given)["update"]
    assert {"type": "ServiceAccountRoleArn", "value": ROLE} in update["params"]
    account.pass_(2 * MINUTE_S)
    assert given.items() <= addon(account, "kube-proxy").items()
    account.call("UpdateAddon", **call, configurationValues=values)
    account.pass_(2 * MINUTE_S)
    told = addon(account, "kube-proxy")
    assert (told.get("serviceAccountRoleArn"), told["configurationValues"]) == (None, values)


def owned(account: Account) -> list[tuple[str, str]]:
    listed = account.call("ListPodIdentityAssociations", clusterName="prod")["associations"]
    return [(one["serviceAccount"], one["ownerArn"]) for one in listed if "ownerArn" in one]


def test_roles_of_an_add_on_are_its_own_and_go_with_it(account: Account) -> None:
    name = "aws-ebs-csi-driver"
    build = account.call("DescribeAddonVersions", addonName=name)["addons"][0]["addonVersions"][0]
    asked = account.call("DescribeAddonConfiguration", addonName=name, addonVersion=build["addonVersion"])
    (needs,) = asked["podIdentityConfiguration"]
    assert (build["requiresIamPermissions"], needs["serviceAccount"]) == (True, "ebs-csi-controller-sa")
    call = {"clusterName": "prod", "addonName": name}
    wrong = [{"serviceAccount": "default", "roleArn": ROLE}]
    assert "none of add-on" in account.refused("CreateAddon", **call, podIdentityAssociations=wrong).message
    right = [{"serviceAccount": needs["serviceAccount"], "roleArn": ROLE}]
    account.call("CreateAddon", **call, podIdentityAssociations=right)
    told = addon(account, name)
    assert owned(account) == [("ebs-csi-controller-sa", told["addonArn"])]
    (arn,) = told["podIdentityAssociations"]
    refused = account.refused(
        "DeletePodIdentityAssociation", clusterName="prod", associationId=arn.rpartition("/")[2]
    )
    assert "is owned by" in refused.message
    account.pass_(2 * MINUTE_S)
    account.call("DeleteAddon", **call)
    account.pass_(2 * MINUTE_S)
    assert owned(account) == []


def test_builds_by_minor_type_and_owner(account: Account) -> None:
    def names(**call: Any) -> set[str]:
        return {one["addonName"] for one in account.call("DescribeAddonVersions", **call)["addons"]}

    assert names(types=["networking"]) == {"vpc-cni", "kube-proxy", "coredns"}
    assert names(owners=["somebody"]) == set()
    (only,) = account.call("DescribeAddonVersions", addonName="kube-proxy", kubernetesVersion="1.31")[
        "addons"
    ]
    fits = [one["compatibilities"][0]["clusterVersion"] for one in only["addonVersions"]]
    assert set(fits) == {"1.31"}
    assert account.refused("DescribeAddonVersions", addonName="nothing").code == "ResourceNotFoundException"


def insights(account: Account, **filters: Any) -> dict[tuple[str, str], str]:
    listed = account.call("ListInsights", clusterName="prod", filter=filters)["insights"]
    return {(one["name"], one["kubernetesVersion"]): one["insightStatus"]["status"] for one in listed}


def test_who_asked_for_what_ends_is_named(account: Account) -> None:
    account.fleet.asked["prod"] = (
        Requested(
            group="flowcontrol.apiserver.k8s.io",
            version="v1beta3",
            resource="flowschemas",
            user_agent="argocd/v2",
            times=12,
            last_s=START_S,
        ),
    )
    account.pass_(5 * MINUTE_S)
    account.call("StartInsightsRefresh", clusterName="prod")
    assert account.refused("StartInsightsRefresh", clusterName="prod").code == "ResourceInUseException"
    account.pass_(3 * MINUTE_S)
    assert account.call("DescribeInsightsRefresh", clusterName="prod")["status"] == "COMPLETED"
    name = "Deprecated APIs removed in Kubernetes v1.32"
    assert insights(account, statuses=["ERROR"]) == {(name, "1.32"): "ERROR"}
    (listed,) = account.call("ListInsights", clusterName="prod", filter={"statuses": ["ERROR"]})["insights"]
    told = account.call("DescribeInsight", clusterName="prod", id=listed["id"])["insight"]
    (detail,) = told["categorySpecificSummary"]["deprecationDetails"]
    assert (detail["stopServingVersion"], detail["clientStats"][0]["userAgent"]) == ("1.32", "argocd/v2")


def test_insights_grow_old_by_a_day(account: Account) -> None:
    created(account, "vpc-cni")
    account.pass_(5 * MINUTE_S)
    before = account.call("ListInsights", clusterName="prod")["insights"][0]["lastRefreshTime"]
    account.pass_(DAY_S)
    after = account.call("ListInsights", clusterName="prod")["insights"][0]["lastRefreshTime"]
    assert after > before


def test_insights_of_status_error_block_where_eks_has_that_on(account: Account) -> None:
    created(account, "coredns")
    account.world.known.addons["coredns"][:] = [  # type: ignore[index]
        build for build in account.world.known.addons["coredns"] if "1.32" not in build.minors
    ]
    account.call("UpdateClusterConfig", name="prod", deletionProtection=True)
    account.pass_(2 * MINUTE_S)
    account.world.insights_block = True
    refused = account.refused("UpdateClusterVersion", name="prod", version="1.32")
    assert (refused.code, "add-on version" in refused.message) == ("InvalidStateException", True)


def test_entries_policies_and_roles_of_pods(account: Account) -> None:
    principal = "arn:aws:iam::123456789012:role/ops"
    account.call("CreateAccessEntry", clusterName="prod", principalArn=principal, kubernetesGroups=["ops"])
    assert (
        "reserved prefix"
        in account.refused(
            "CreateAccessEntry",
            clusterName="prod",
            principalArn=f"{principal}2",
            kubernetesGroups=["system:masters"],
        ).message
    )
    view = next(
        one["arn"]
        for one in account.call("ListAccessPolicies")["accessPolicies"]
        if one["name"] == "AmazonEKSViewPolicy"
    )
    account.call(
        "AssociateAccessPolicy",
        clusterName="prod",
        principalArn=principal,
        policyArn=view,
        accessScope={"type": "cluster"},
    )
    listed = account.call("ListAssociatedAccessPolicies", clusterName="prod", principalArn=principal)
    assert [one["policyArn"] for one in listed["associatedAccessPolicies"]] == [view]
    made = account.call(
        "CreatePodIdentityAssociation",
        clusterName="prod",
        namespace="kube-system",
        serviceAccount="ebs",
        roleArn=ROLE,
    )["association"]
    assert (
        account.call("ListPodIdentityAssociations", clusterName="prod")["associations"][0]["associationId"]
        == made["associationId"]
    )
    account.call("TagResource", resourceArn=made["associationArn"], tags={"a": "b"})
    assert account.call("ListTagsForResource", resourceArn=made["associationArn"])["tags"] == {"a": "b"}
    account.call("DeleteAccessEntry", clusterName="prod", principalArn=principal)
    assert principal not in account.call("ListAccessEntries", clusterName="prod")["accessEntries"]
