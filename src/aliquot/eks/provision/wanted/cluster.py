"""The control plane, who may do what in it, and Fargate."""

from collections.abc import Iterator, Sequence
from typing import Any

from aliquot.counting import counted
from aliquot.eks.provision import roles
from aliquot.eks.provision.cluster_config.reading import Wanted, log_types
from aliquot.eks.provision.cluster_config.schema import AccessEntry, FargateProfile
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import Call, Look, Ref, Resource
from aliquot.eks.provision.wanted import iam

CLUSTER = "cluster"
_NONE = ("ResourceNotFoundException",)


def control_plane(
    wanted: Wanted, names: Names, account: str, subnets: Sequence[Ref | str], after: Sequence[str]
) -> Iterator[Resource]:
    config = wanted.config
    before: list[Resource] = []
    types = log_types(config)
    if types:
        before += _logs(names, config.cloud_watch.logging.retention_days)
    key: Ref | str = ""
    if config.secrets is not None:
        key = config.secrets.key_arn or Ref("key", "Arn")
    if isinstance(key, Ref):
        before += iam.key(names)
    role: Ref | str = config.iam.service_role_arn
    if not role:
        policies = [names.policy(name) for name in roles.CLUSTER]
        before += iam.role(names, "cluster", roles.trust_service("eks.amazonaws.com"), policies)
        role = iam.arn("cluster")
    yield from before
    vpc = config.vpc
    parameters: dict[str, Any] = {
        "name": names.cluster,
        "version": str(wanted.minor),
        "roleArn": role,
        "resourcesVpcConfig": {
            "subnetIds": list(subnets),
            "endpointPublicAccess": vpc.endpoints.public,
            "endpointPrivateAccess": vpc.endpoints.private,
            **({"publicAccessCidrs": list(vpc.public_cidrs)} if vpc.public_cidrs else {}),
        },
        "accessConfig": {
            "authenticationMode": config.access.authentication_mode,
            "bootstrapClusterCreatorAdminPermissions": config.access.creator_is_admin,
        },
        # Its add-ons are EKS', made below: what came by itself would have to be taken over first.
        "bootstrapSelfManagedAddons": False,
        "upgradePolicy": {"supportType": config.upgrade_policy.support},
        "deletionProtection": config.deletion_protection,
        "tags": names.labels(CLUSTER),
    }
    if config.network.service_cidr:
        parameters["kubernetesNetworkConfig"] = {
            "serviceIpv4Cidr": config.network.service_cidr,
            "ipFamily": "ipv4",
        }
    if types:
        parameters["logging"] = {"clusterLogging": [{"types": list(types), "enabled": True}]}
    if key:
        parameters["encryptionConfig"] = [{"resources": ["secrets"], "provider": {"keyArn": key}}]
    yield Resource(
        key=CLUSTER,
        title=f"cluster {names.cluster}, Kubernetes {wanted.minor}",
        make=Call(service="eks", operation="CreateCluster", parameters=parameters),
        look=Look(
            service="eks",
            operation="DescribeCluster",
            parameters={"name": names.cluster},
            at="cluster",
            absent=_NONE,
            tags="tags",
            status="status",
            ready=("ACTIVE", "UPDATING"),
            failed=("FAILED", "DELETING"),
            why="health.issues",
        ),
        after=(*after, *(one.key for one in before)),
    )
    if config.iam.with_oidc:
        yield iam.oidc(names, account)


def _logs(names: Names, days: int) -> Iterator[Resource]:
    """Before EKS makes it without a tag and without an end."""
    yield Resource(
        key="logs",
        title=f"log group {names.log_group}",
        make=Call(
            service="logs",
            operation="CreateLogGroup",
            parameters={"logGroupName": names.log_group, "tags": names.labels("logs")},
        ),
        look=Look(
            service="logs",
            operation="DescribeLogGroups",
            parameters={"logGroupNamePrefix": names.log_group},
            at="logGroups",
            where={"logGroupName": names.log_group},
        ),
    )
    if days:
        yield Resource(
            key="logs/retention",
            title=f"{counted(days, 'day', 'days')} of logs",
            make=Call(
                service="logs",
                operation="PutRetentionPolicy",
                parameters={"logGroupName": names.log_group, "retentionInDays": days},
            ),
            look=Look(
                service="logs",
                operation="DescribeLogGroups",
                parameters={"logGroupNamePrefix": names.log_group},
                at="logGroups",
                where={"logGroupName": names.log_group, "retentionInDays": days},
            ),
            after=("logs",),
        )


def entry(names: Names, one: AccessEntry) -> Iterator[Resource]:
    key = f"access/{one.principal_arn}"
    parameters: dict[str, Any] = {
        "clusterName": names.cluster,
        "principalArn": one.principal_arn,
        "type": one.type,
        "tags": names.labels(key),
    }
    if one.groups:
        parameters["kubernetesGroups"] = list(one.groups)
    if one.username:
        parameters["username"] = one.username
    yield Resource(
        key=key,
        title=f"access of {one.principal_arn}",
        make=Call(service="eks", operation="CreateAccessEntry", parameters=parameters),
        look=Look(
            service="eks",
            operation="DescribeAccessEntry",
            parameters={"clusterName": names.cluster, "principalArn": one.principal_arn},
            at="accessEntry",
            absent=_NONE,
        ),
        after=(CLUSTER,),
    )
    for policy in one.policies:
        scope: dict[str, Any] = {"type": policy.scope.type}
        if policy.scope.namespaces:
            scope["namespaces"] = list(policy.scope.namespaces)
        of = {"clusterName": names.cluster, "principalArn": one.principal_arn}
        yield Resource(
            key=f"{key}/{policy.policy_arn.rpartition('/')[2]}",
            title=f"{policy.policy_arn.rpartition('/')[2]} for {one.principal_arn}",
            make=Call(
                service="eks",
                operation="AssociateAccessPolicy",
                parameters={**of, "policyArn": policy.policy_arn, "accessScope": scope},
            ),
            look=Look(
                service="eks",
                operation="ListAssociatedAccessPolicies",
                parameters=of,
                at="associatedAccessPolicies",
                where={"policyArn": policy.policy_arn},
                paged=True,
                absent=_NONE,
            ),
            after=(key,),
        )


def fargate(
    names: Names, profiles: Sequence[tuple[FargateProfile, list[Ref | str]]], role: Ref | str, after: str
) -> Iterator[Resource]:
    """One after the other: EKS makes one profile of a cluster at a time."""
    for profile, subnets in profiles:
        key = f"fargate/{profile.name}"
        yield Resource(
            key=key,
            title=f"Fargate profile {profile.name}",
            make=Call(
                service="eks",
                operation="CreateFargateProfile",
                parameters={
                    "clusterName": names.cluster,
                    "fargateProfileName": profile.name,
                    "podExecutionRoleArn": profile.role_arn or role,
                    "subnets": subnets,
                    "selectors": [
                        {"namespace": one.namespace, **({"labels": one.labels} if one.labels else {})}
                        for one in profile.selectors
                    ],
                    "tags": names.labels(key, profile.tags),
                },
            ),
            look=Look(
                service="eks",
                operation="DescribeFargateProfile",
                parameters={"clusterName": names.cluster, "fargateProfileName": profile.name},
                at="fargateProfile",
                absent=_NONE,
                status="status",
                ready=("ACTIVE",),
                failed=("CREATE_FAILED", "DELETE_FAILED"),
                why="health.issues",
            ),
            after=(CLUSTER, after) if after else (CLUSTER,),
        )
        after = key
