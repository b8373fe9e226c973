"""From a token of AWS to a user of a cluster, and what policies let him do."""

import base64
from typing import Any

import pytest

from aliquot.cli.eks.fake.aws_identities import PREFIX, AccessPolicies, AwsTokens, access_key, canonical
from aliquot.eks.fake.world import Cluster
from aliquot.emulator.authentication.tokens import ISSUER, TokenRefused
from aliquot.emulator.rbac import Attributes, Rule, User

ACCOUNT = "arn:aws:iam::123456789012"
ROLE = f"{ACCOUNT}:role/teams/ml"
SESSION = "arn:aws:sts::123456789012:assumed-role/ml/ada"


def token(query: str) -> str:
    url = f"https://sts.eu-west-1.amazonaws.com/?{query}"
    return PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


SIGNED = token(
    "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AKID%2F20261001%2Feu-west-1%2Fsts"
)


def cluster(*policies: tuple[str, dict[str, Any]]) -> Cluster:
    made = Cluster(told={"name": "prod", "version": "1.31"}, born_minor="1.31")
    made.access[ROLE] = {
        "principalArn": ROLE,
        "username": "ml:{{SessionName}}",
        "kubernetesGroups": ["ml"],
    }
    made.policies[ROLE] = {
        name: {"policyArn": f"arn:aws:eks::aws:cluster-access-policy/{name}", "accessScope": scope}
        for name, scope in policies
    }
    return made


def tokens(known: Cluster | None, arn: str) -> AwsTokens:
    async def identify(key: str) -> str:
        assert key == "AKID"
        return arn

    return AwsTokens(lambda: known, identify)


async def test_a_session_of_a_role_is_the_user_of_its_entry() -> None:
    found = await tokens(cluster(), SESSION).authenticate(SIGNED, (ISSUER,))
    assert found is not None
    user, audiences = found
    assert (user.name, user.groups, audiences) == ("ml:ada", ("ml",), (ISSUER,))
    assert user.extra["canonicalArn"] == (ROLE,)


async def test_who_has_no_entry_is_refused() -> None:
    for known, arn in ((cluster(), SESSION.replace("/ml/", "/other/")), (None, SESSION)):
        with pytest.raises(TokenRefused, match="has no access entry"):
            await tokens(known, arn).authenticate(SIGNED, (ISSUER,))


async def test_tokens_of_others_are_left_to_others() -> None:
    assert await tokens(cluster(), SESSION).authenticate("ey.ey.sig", (ISSUER,)) is None
    assert await tokens(cluster(), SESSION).authenticate(SIGNED, ("vault",)) is None


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (PREFIX + "%%%", "no URL in base64"),
        (PREFIX + "AAAA\u00e9", "no URL in base64"),
        (token("Action=ListUsers&X-Amz-Credential=AKID"), "no call of STS' GetCallerIdentity"),
        (token("Action=GetCallerIdentity"), "whose key"),
        (token("Action=GetCallerIdentity&X-Amz-Credential=%2F20261001"), "whose key"),
    ],
)
def test_a_token_that_is_none(bad: str, why: str) -> None:
    with pytest.raises(TokenRefused, match=why):
        access_key(bad)


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (SESSION, f"{ACCOUNT}:role/ml"),
        ("arn:aws:sts::123456789012:user/moto", f"{ACCOUNT}:root"),
        (f"{ACCOUNT}:user/ada", f"{ACCOUNT}:user/ada"),
        ("nonsense", "nonsense"),
    ],
)
def test_who_is_behind_a_session(arn: str, principal: str) -> None:
    assert canonical(arn) == principal


EVERYWHERE = {"type": "cluster"}
IN_ML = {"type": "namespace", "namespaces": ["ml-*"]}
VIEW = (Rule(verbs=("get", "list", "watch"), groups=("",), resources=("pods",)),)


@pytest.mark.parametrize(
    ("policy", "scope", "asked", "allowed"),
    [
        ("AmazonEKSClusterAdminPolicy", EVERYWHERE, Attributes(verb="delete", resource="nodes"), True),
        ("AmazonEKSClusterAdminPolicy", EVERYWHERE, Attributes(verb="get", path="/metrics"), True),
        ("AmazonEKSAdminViewPolicy", EVERYWHERE, Attributes(verb="list", resource="secrets"), True),
        ("AmazonEKSAdminViewPolicy", EVERYWHERE, Attributes(verb="delete", resource="secrets"), False),
        ("AmazonEKSAdminViewPolicy", EVERYWHERE, Attributes(verb="get", path="/metrics"), False),
        ("AmazonEKSViewPolicy", EVERYWHERE, Attributes(verb="list", resource="pods", namespace="a"), True),
        ("AmazonEKSViewPolicy", EVERYWHERE, Attributes(verb="list", resource="secrets"), False),
        ("AmazonEKSViewPolicy", IN_ML, Attributes(verb="list", resource="pods", namespace="ml-a"), True),
        ("AmazonEKSViewPolicy", IN_ML, Attributes(verb="list", resource="pods", namespace="web"), False),
        ("AmazonEKSViewPolicy", IN_ML, Attributes(verb="list", resource="pods"), False),
    ],
)
def test_what_policies_allow(policy: str, scope: dict[str, Any], asked: Attributes, *, allowed: bool) -> None:
    known = cluster((policy, scope))
    policies = AccessPolicies(lambda: known, {"view": VIEW}.__getitem__)
    said = policies(User("ml:ada", extra={"canonicalArn": (ROLE,)}), asked)
    assert said is not None
    assert said.allowed is allowed
    assert (policy in said.reason) is allowed


def test_nothing_is_said_of_users_of_the_cluster_s_own() -> None:
    policies = AccessPolicies(cluster, {"view": VIEW}.__getitem__)
    assert policies(User("system:node:a", ("system:nodes",)), Attributes(verb="get")) is None
