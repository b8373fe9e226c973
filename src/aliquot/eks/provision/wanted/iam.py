"""Roles with what hangs on them, and the key of the cluster's secrets."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aliquot.eks.provision import roles
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import Call, Look, Ref, Resource

_NONE = ("NoSuchEntity", "NoSuchEntityException")


def role_key(what: str) -> str:
    return f"role/{what}"


def arn(what: str) -> Ref:
    return Ref(role_key(what), "Arn")


def role(
    names: Names,
    what: str,
    trust: str,
    policies: Iterable[str],
    inline: Mapping[str, Any] | None = None,
) -> Iterator[Resource]:
    """`policies`: ARNs."""
    key, name = role_key(what), names.role(what)
    yield Resource(
        key=key,
        title=f"role {name}",
        make=Call(
            service="iam",
            operation="CreateRole",
            parameters={
                "RoleName": name,
                "Path": names.role_path,
                "AssumeRolePolicyDocument": trust,
                "Description": f"Of EKS cluster {names.cluster}, made by Aliquot",
                "Tags": names.pairs(key),
            },
        ),
        look=Look(
            service="iam",
            operation="GetRole",
            parameters={"RoleName": name},
            at="Role",
            absent=_NONE,
            tags="Tags",
        ),
    )
    for policy in policies:
        yield Resource(
            key=f"{key}/{policy.rpartition('/')[2]}",
            title=f"{policy.rpartition('/')[2]} for role {name}",
            make=Call(
                service="iam",
                operation="AttachRolePolicy",
                parameters={"RoleName": name, "PolicyArn": policy},
            ),
            look=Look(
                service="iam",
                operation="ListAttachedRolePolicies",
                parameters={"RoleName": name},
                at="AttachedPolicies",
                where={"PolicyArn": policy},
                paged=True,
                absent=_NONE,
            ),
            after=(key,),
        )
    if inline:
        yield Resource(
            key=f"{key}/inline",
            title=f"policy of role {name}",
            make=Call(
                service="iam",
                operation="PutRolePolicy",
                parameters={
                    "RoleName": name,
                    "PolicyName": "aliquot",
                    "PolicyDocument": roles.policy(dict(inline)),
                },
            ),
            look=Look(
                service="iam",
                operation="GetRolePolicy",
                parameters={"RoleName": name, "PolicyName": "aliquot"},
                at="",
                absent=_NONE,
            ),
            after=(key,),
        )


def oidc(names: Names, account: str) -> Resource:
    issuer = Ref("cluster", "identity.oidc.issuer")
    provider = f"arn:{names.partition}:iam::{account}:oidc-provider/{{}}"
    return Resource(
        key="oidc",
        title="OIDC provider",
        make=Call(
            service="iam",
            operation="CreateOpenIDConnectProvider",
            parameters={
                "Url": issuer,
                "ClientIDList": ["sts.amazonaws.com"],
                "Tags": names.pairs("oidc"),
            },
        ),
        look=Look(
            service="iam",
            operation="GetOpenIDConnectProvider",
            parameters={"OpenIDConnectProviderArn": Ref("cluster", "identity.oidc.issuer", provider)},
            at="",
            absent=_NONE,
        ),
    )


def key(names: Names) -> Iterator[Resource]:
    """Of the cluster's Secrets."""
    yield Resource(
        key="key",
        title="key of the Secrets",
        make=Call(
            service="kms",
            operation="CreateKey",
            parameters={
                "Description": f"Secrets of EKS cluster {names.cluster}",
                "Tags": [{"TagKey": name, "TagValue": value} for name, value in names.labels("key").items()],
            },
        ),
        look=Look(
            service="kms",
            operation="DescribeKey",
            parameters={"KeyId": names.alias},
            at="KeyMetadata",
            absent=("NotFoundException",),
            by_key_tags=True,
        ),
    )
    yield Resource(
        key="key/alias",
        title=names.alias,
        make=Call(
            service="kms",
            operation="CreateAlias",
            parameters={"AliasName": names.alias, "TargetKeyId": Ref("key", "KeyId")},
        ),
        look=Look(
            service="kms",
            operation="DescribeKey",
            parameters={"KeyId": names.alias},
            at="KeyMetadata",
            absent=("NotFoundException",),
        ),
    )
    yield Resource(
        key="key/rotation",
        title="yearly rotation of the key",
        make=Call(service="kms", operation="EnableKeyRotation", parameters={"KeyId": Ref("key", "KeyId")}),
        look=Look(
            service="kms",
            operation="GetKeyRotationStatus",
            parameters={"KeyId": Ref("key", "KeyId")},
            at="",
            where={"KeyRotationEnabled": True},
        ),
    )
