"""Whether whoever runs this may do what the plan's steps do: before the control plane goes on, and not half way.

The API server is asked as for `kubectl auth can-i`, and IAM simulates its policies where it may be asked to. What nobody answers is told
as not checked; what is missing holds.
"""

from msgspec import Struct

from aliquot.eks.aws.api import THROTTLED, UNSIGNED, Api, Failure
from aliquot.eks.estate.served import served_groups
from aliquot.eks.upgrade.acts.group_copy import COPY_OF
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict
from aliquot.kube.client import Client
from aliquot.kube.errors import Forbidden, Invalid, NotFound
from aliquot.kube.resources import Resource

REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
_COPIES = {
    "ContextKeyName": f"aws:ResourceTag/{COPY_OF}",
    "ContextKeyValues": ["a-group"],
    "ContextKeyType": "string",
}
"""What is deleted bears it, and a policy may ask for that."""
_NAMED = 8


class Right(Struct, frozen=True, order=True):
    """In the cluster."""

    verb: str
    group: str
    resource: str
    """With its subresource: `pods/log`."""
    namespace: str = ""
    """Empty: in all of them."""

    def __str__(self) -> str:
        named = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {named}" + (f" in {self.namespace}" if self.namespace else "")


class Action(Struct, frozen=True, order=True):
    """At AWS."""

    name: str
    on: str
    """An ARN."""

    def __str__(self) -> str:
        return f"{self.name} on {self.on}"


class RightsCheck(Struct, frozen=True, kw_only=True, tag="rights-check"):
    in_cluster: tuple[Right, ...]
    at_aws: tuple[Action, ...]


class Seen(Struct, frozen=True, kw_only=True):
    missing: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    """With why."""
    there: int = 0


async def look(act: RightsCheck, doors: Doors) -> Seen:
    cluster = await _in_cluster(doors.kube, act.in_cluster)
    aws = await _at_aws(doors.api, act.at_aws)
    return Seen(
        missing=(*cluster.missing, *aws.missing),
        unchecked=(*cluster.unchecked, *aws.unchecked),
        there=cluster.there + aws.there,
    )


async def _in_cluster(kube: Client, wanted: tuple[Right, ...]) -> Seen:
    """Of kinds that are there; list also of those that are not, for whoever may not list them never learns that."""
    groups = await served_groups(kube)
    missing, unchecked, there = [], [], 0
    for one in wanted:
        if one.group and one.group not in groups and one.verb != "list":
            continue
        try:
            status = (await kube.create(REVIEWS, _review(one))).get("status") or {}
        except (Forbidden, NotFound, Invalid) as error:
            unchecked.append(f"{one}: {error}")
            continue
        if status.get("allowed"):
            there += 1
        elif status.get("evaluationError") and not status.get("denied"):
            unchecked.append(f"{one}: {status['evaluationError']}")
        else:
            missing.append(str(one))
    return Seen(missing=tuple(missing), unchecked=tuple(unchecked), there=there)


def _review(one: Right) -> dict[str, object]:
    plural, _, sub = one.resource.partition("/")
    asked = {"verb": one.verb, "group": one.group, "resource": plural, "subresource": sub}
    named = {"namespace": one.namespace} if one.namespace else {}
    return {"spec": {"resourceAttributes": {**asked, **named}}}


async def _at_aws(api: Api, wanted: tuple[Action, ...]) -> Seen:
    """Raises Failure where nobody is signed in, or AWS throttles."""
    missing, unchecked, there = [], [], 0
    of: dict[str, list[Action]] = {}
    for one in wanted:
        of.setdefault(one.on, []).append(one)
    try:
        who = await _principal(api)
        for arn, actions in of.items():
            answer = await api.call(
                "iam",
                "SimulatePrincipalPolicy",
                PolicySourceArn=who,
                ActionNames=[one.name for one in actions],
                ResourceArns=[arn],
                ContextEntries=[_COPIES],
            )
            told = {one["EvalActionName"]: one for one in answer.get("EvaluationResults", ())}
            for action in actions:
                found = told.get(action.name, {})
                if found.get("EvalDecision") == "allowed":
                    there += 1
                elif found and (
                    found["EvalDecision"] == "explicitDeny" or not found.get("MissingContextValues")
                ):
                    missing.append(str(action))
                else:
                    by = ", ".join(found.get("MissingContextValues", ())) or "IAM says nothing of it"
                    unchecked.append(f"{action}: it hangs on {by}" if found else f"{action}: {by}")
    except Failure as error:
        if error.code in UNSIGNED | THROTTLED:
            raise
        unchecked.append(f"rights at AWS: {error}")
    return Seen(missing=tuple(missing), unchecked=tuple(unchecked), there=there)


async def _principal(api: Api) -> str:
    """Whose policies are simulated. Of a session of a role it is the role, whose path the session does not tell. Raises Failure."""
    who = str((await api.call("sts", "GetCallerIdentity"))["Arn"])
    kind, _, rest = who.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return who
    role = rest.partition("/")[0]
    return str((await api.call("iam", "GetRole", RoleName=role))["Role"]["Arn"])


def judged(act: RightsCheck, seen: Seen, attempt: Attempt) -> Verdict:
    but = f"; not checked: {_named(seen.unchecked)}" if seen.unchecked else ""
    if not seen.missing:
        return Done(f"{seen.there} rights that its steps take are there{but}")
    missing = _named(seen.missing)
    if attempt.accepted_by:
        return Done(f"{attempt.accepted_by} accepted that these rights are not there: {missing}{but}")
    return Hold(
        f"its steps take rights that you do not have: {missing}{but}",
        "give them (examples/eks/upgrader-policy.json, upgrader-clusterrole.yaml), then retry; or live with it (retry --accept)",
    )


def _named(found: tuple[str, ...]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


DOING = Doing(look=look, judge=judged, heeds_accept=True)
