"""Who somebody at AWS is in a cluster: tokens of `aws eks get-token`, access entries, access policies.

A token is a call of STS, signed and not made. A real cluster makes it; here the access key in it is looked up, and its signature
is not checked, as nothing is that is sent to this fake.
"""

import base64
import binascii
import fnmatch
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import Cluster
from aliquot.emulator.authentication.tokens import ISSUER, TokenRefused
from aliquot.emulator.rbac import Attributes, Decision, Rule, User

PREFIX = "k8s-aws-v1."
_CANONICAL = "canonicalArn"
_SESSION = "{{SessionName}}"
_EVERYTHING = (
    Rule(verbs=("*",), groups=("*",), resources=("*",)),
    Rule(verbs=("*",), urls=("*",)),
)
_EVERYTHING_SEEN = (Rule(verbs=("get", "list", "watch"), groups=("*",), resources=("*",)),)
_ROLES = {
    "AmazonEKSAdminPolicy": "admin",
    "AmazonEKSEditPolicy": "edit",
    "AmazonEKSViewPolicy": "view",
}
"""Policies that give what Kubernetes' own roles do."""

Identify = Callable[[str], Awaitable[str]]
"""access key → ARN, as STS has it. Raises Refused."""
Find = Callable[[], Cluster | None]
RulesOf = Callable[[str], Sequence[Rule]]
"""Of a ClusterRole, by its name."""


class AwsTokens:
    """A `TokenSource` of one cluster, which `find` gives as it is now."""

    def __init__(self, find: Find, identify: Identify) -> None:
        self._find = find
        self._identify = identify

    async def authenticate(self, token: str, audiences: Sequence[str]) -> tuple[User, tuple[str, ...]] | None:
        """Raises TokenRefused."""
        if not token.startswith(PREFIX) or ISSUER not in audiences:
            return None
        try:
            arn = await self._identify(access_key(token))
        except Refused as refusal:
            raise TokenRefused(f"STS: {refusal.message}") from refusal
        cluster = self._find()
        principal = canonical(arn)
        entry = _entry(cluster.access, principal) if cluster is not None else None
        if entry is None:
            raise TokenRefused(f"{arn} has no access entry")
        session = arn.rpartition("/")[2]
        extra = {"arn": (arn,), _CANONICAL: (entry["principalArn"],), "sessionName": (session,)}
        name = entry["username"].replace(_SESSION, session)
        return User(name, tuple(entry["kubernetesGroups"]), extra=extra), (ISSUER,)


def access_key(token: str) -> str:
    """Whose signature a token bears. Raises TokenRefused."""
    encoded = token.removeprefix(PREFIX)
    try:
        url = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
        query = parse_qs(urlsplit(url).query)
    except (binascii.Error, ValueError):
        raise TokenRefused("it is no URL in base64") from None
    if query.get("Action") != ["GetCallerIdentity"]:
        raise TokenRefused("it is no call of STS' GetCallerIdentity")
    key = query.get("X-Amz-Credential", [""])[0].partition("/")[0]
    if not key:
        raise TokenRefused("it does not say whose key has signed it")
    return key


def canonical(arn: str) -> str:
    """The principal behind a session: of an assumed role the role, of whoever IAM does not know the account itself."""
    _, _, _, _, account, name = (arn.split(":", 5) + [""] * 6)[:6]
    kind, _, rest = name.partition("/")
    if kind == "assumed-role":
        return f"arn:aws:iam::{account}:role/{rest.partition('/')[0]}"
    if ":sts:" in arn and kind == "user":
        return f"arn:aws:iam::{account}:root"
    return arn


def _entry(entries: Mapping[str, dict[str, Any]], principal: str) -> dict[str, Any] | None:
    """A session does not tell the path of its role."""
    found = entries.get(principal)
    if found is None and ":role/" in principal:
        account, _, name = principal.partition(":role/")
        return next(
            (
                one
                for arn, one in entries.items()
                if arn.startswith(f"{account}:role/") and arn.rpartition("/")[2] == name
            ),
            None,
        )
    return found


class AccessPolicies:
    """Asked before the roles, as EKS' own authorizer is. `rules_of` gives what the cluster's roles say."""

    def __init__(self, find: Find, rules_of: RulesOf) -> None:
        self._find = find
        self._rules_of = rules_of

    def __call__(self, user: User, asked: Attributes) -> Decision | None:
        principal, cluster = user.extra.get(_CANONICAL), self._find()
        if not principal or cluster is None:
            return None
        for policy in cluster.policies.get(principal[0], {}).values():
            name = policy["policyArn"].rpartition("/")[2]
            if _within(policy["accessScope"], asked) and any(one.allows(asked) for one in self._rules(name)):
                return Decision(True, f"EKS Access Policy: allowed by {name}")
        return Decision(False)

    def _rules(self, policy: str) -> Sequence[Rule]:
        if policy == "AmazonEKSClusterAdminPolicy":
            return _EVERYTHING
        if policy == "AmazonEKSAdminViewPolicy":
            return _EVERYTHING_SEEN
        return self._rules_of(_ROLES[policy]) if policy in _ROLES else ()


def _within(scope: Mapping[str, Any], asked: Attributes) -> bool:
    if scope.get("type") != "namespace":
        return True
    return bool(asked.namespace) and any(
        fnmatch.fnmatchcase(asked.namespace, one) for one in scope.get("namespaces", ())
    )
