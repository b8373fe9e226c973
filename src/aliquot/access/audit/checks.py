"""Rules that find access which no grant gave, each one function from an event and what is known to a sentence. Pure."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec import Struct

from aliquot.access.audit.events import Event, Who
from aliquot.access.audit.findings import Finding
from aliquot.access.audit.joining import ACCOUNTS, Known, Whose, grant_of_account, is_account, latest_use_s
from aliquot.access.cluster.installation import POLICIES, POLICY_BINDINGS
from aliquot.access.cluster.naming import NAMESPACE, PREFIX
from aliquot.access.cluster.policies import CONTROLLERS
from aliquot.access.cluster.policies.words import AGENT_USER, POLICY_PREFIX, SENTINEL_USER
from aliquot.access.core.life.life import Life
from aliquot.access.core.times import MARGIN_S
from aliquot.clock import rfc3339

_MASTERS = "system:masters"
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_RBAC = "rbac.authorization.k8s.io"
_GUARDED = frozenset(
    {
        *((_RBAC, one) for one in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")),
        *(("", one) for one in ("secrets", "serviceaccounts")),
        ("batch", "jobs"),
    }
)
_HANDS = frozenset(
    {
        *(AGENT_USER, SENTINEL_USER, *CONTROLLERS, "system:apiserver"),
        *(
            f"system:serviceaccount:kube-system:{one}"
            for one in (
                "generic-garbage-collector",
                "namespace-controller",
                "service-account-controller",
                "ttl-after-finished-controller",
            )
        ),
    }
)
"""Who makes and takes away what is of grants: ours, and Kubernetes' own controllers."""


class Looked(Struct, frozen=True, kw_only=True):
    """What a rule looks at."""

    event: Event
    cluster: str
    """That delivered it."""
    whose: Whose | None
    known: Known

    @property
    def life(self) -> Life | None:
        return self.known.lives.get(self.whose.grant) if self.whose is not None else None

    @property
    def what(self) -> str:
        """The request, in words."""
        event, target = self.event, self.event.target
        if target is None:
            return f"{event.verb} {event.path}"
        place = f" in {target.namespace}" if target.namespace else ""
        return " ".join(filter(None, (event.verb, target.resource, target.name))) + place

    def did(self, *resources: tuple[str, str]) -> bool:
        """Whether it changed one of these (group, resource), and nobody refused it."""
        event, target = self.event, self.event.target
        return (
            target is not None
            and event.verb in _WRITES
            and (target.group, target.resource) in resources
            and not event.denied
            and event.code < 400
        )


def unknown_credential(seen: Looked) -> str:
    user = seen.event.user
    given = seen.known.credentials.get(user.credential)
    if given is not None:
        if grant_of_account(user.name) == given.grant or user.grant == given.grant:
            return ""
        return f"{user.name} was used with {given.id}, which was given out for {given.grant}"
    if not user.name.startswith(ACCOUNTS):
        return ""
    if not user.credential:
        return f"{user.name} was used with a credential that has no id, and all that are given out have one"
    return f"{user.name} was used with {user.credential}, which was never given out"


def used_after_end(seen: Looked) -> str:
    life, came_s = seen.life, seen.event.received_s
    if life is None:
        return ""
    latest_s = latest_use_s(life)
    if latest_s is not None and came_s > latest_s:
        return f"grant {life.id} was used at {rfc3339(came_s)}, and by {rfc3339(latest_s)} nobody is to be let in by it"
    given = seen.known.credentials.get(seen.event.user.credential)
    if given is not None and came_s > given.expires_s + MARGIN_S:
        return f"{given.id} of grant {life.id} was used at {rfc3339(came_s)}, and ran out at {rfc3339(given.expires_s)}"
    return ""


def unknown_grant(seen: Looked) -> str:
    user = seen.event.user
    if not is_account(user) or seen.life is not None:
        return ""
    if seen.whose is not None:
        return f"{user.name} was used, which is of grant {seen.whose.grant}, and there is no such grant"
    return f"{user.name} was used, which is of no grant, and the namespace {NAMESPACE} has accounts of grants alone"


def other_cluster(seen: Looked) -> str:
    life = seen.life
    if life is None or life.request.cluster == seen.cluster:
        return ""
    return f"grant {life.id} is of cluster {life.request.cluster}, and was used in {seen.cluster}"


def system_masters(seen: Looked) -> str:
    user, acts_as = seen.event.user, seen.event.acts_as
    if acts_as is not None and _MASTERS in acts_as.groups:
        return f"{user.name} acted as one of {_MASTERS}, whom nothing is refused: {seen.what}"
    if _is_master(user):
        return f"{user.name} came as one of {_MASTERS}, whom nothing is refused and nobody can put out: {seen.what}"
    return ""


def impersonated(seen: Looked) -> str:
    acts_as = seen.event.acts_as
    if acts_as is None or not is_account(acts_as):
        return ""
    return f"{seen.event.user.name} acted as {acts_as.name or acts_as.grant}, which no grant lets anybody do: {seen.what}"


def token_request(seen: Looked) -> str:
    """Also one that was refused: nobody has any reason to ask."""
    event, target = seen.event, seen.event.target
    if (
        target is None
        or (target.group, target.resource, target.namespace) != ("", "serviceaccounts/token", NAMESPACE)
        or event.verb != "create"
        or event.user.name == AGENT_USER
    ):
        return ""
    refused = ", and was refused" if event.denied or event.code >= 400 else ""
    return f"{event.user.name} asked for a token of {target.name}, which Aliquot's agent alone does{refused}"


def foreign_hand(seen: Looked) -> str:
    event, target = seen.event, seen.event.target
    if target is None or event.user.name in _HANDS:
        return ""
    is_home = seen.did(("", "namespaces")) and target.name == NAMESPACE
    is_ours = target.name.startswith(PREFIX) or target.namespace == NAMESPACE
    if not is_home and not (is_ours and seen.did(*_GUARDED)):
        return ""
    return f"{event.user.name} did what Aliquot's agent and sentinel alone do: {seen.what}"


def policies_touched(seen: Looked) -> str:
    """Whoever it is: nothing of ours that runs has any right over them."""
    target = seen.event.target
    ours = ((one.group, one.plural) for one in (POLICIES, POLICY_BINDINGS))
    if target is None or not seen.did(*ours):
        return ""
    if not target.name.startswith(POLICY_PREFIX) and seen.event.verb != "deletecollection":
        return ""
    return f"{seen.event.user.name} touched the admission policies that guard grants: {seen.what}"


def _is_master(who: Who) -> bool:
    """Components are called `system:...`, and so is the one person for whom some distributions make a certificate."""
    return _MASTERS in who.groups and (not who.name.startswith("system:") or who.name == "system:admin")


class Check(NamedTuple):
    look: Callable[[Looked], str]
    """The sentence; empty: nothing is wrong."""
    about: Callable[[Looked], str] = lambda seen: ""
    """What is told apart beside who did it and which grant it is of."""

    @property
    def name(self) -> str:
        return self.look.__name__


def _account(seen: Looked) -> str:
    return (seen.event.acts_as or seen.event.user).name


def _object(seen: Looked) -> str:
    target = seen.event.target
    return f"{target.resource} {target.namespace}/{target.name}" if target is not None else ""


CHECKS = (
    Check(unknown_credential, lambda seen: seen.event.user.credential),
    Check(used_after_end),
    Check(unknown_grant, _account),
    Check(other_cluster),
    Check(system_masters),
    Check(impersonated, _account),
    Check(token_request, _object),
    Check(foreign_hand, _object),
    Check(policies_touched),
)


def found(seen: Looked) -> Iterator[Finding]:
    for check in CHECKS:
        if text := check.look(seen):
            yield Finding(
                rule=check.name,
                cluster=seen.cluster,
                grant=seen.whose.grant if seen.whose is not None else "",
                who=seen.event.user.name,
                about=check.about(seen),
                text=text,
                first_s=seen.event.received_s,
                last_s=seen.event.received_s,
            )


def concerns(event: Event) -> bool:
    """Whether a rule or a grant may have to do with it: most of a cluster's events have not. By its credential alone an event can
    be a grant's as well."""
    target, user, acts_as = event.target, event.user, event.acts_as
    return (
        is_account(user)
        or (acts_as is not None and (is_account(acts_as) or _MASTERS in acts_as.groups))
        or _is_master(user)
        or (
            target is not None
            and event.verb in _WRITES
            and (
                target.namespace == NAMESPACE
                or target.name.startswith((PREFIX, NAMESPACE, POLICY_PREFIX))
                or (event.verb == "deletecollection" and target.group == POLICIES.group)
            )
        )
    )
