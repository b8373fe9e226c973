"""Whether somebody who is let into a pod could do more there than they were given: as its ServiceAccount, or as root of its node.

Whoever has a shell in a pod has the token of its ServiceAccount. Any right beyond the grant's is too many: this asks for pods that
may do nothing, as most may. What every ServiceAccount may do counts for nothing, as the grant's own is one. Of a cloud's rights only
those are seen that an annotation gives; what the pod itself mounts is seen by whoever enters it, as it is meant to be.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from aliquot.access.core.rules import Rule, uncovered

_CLOUD_IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
_ENTRANCES = ("pods/exec", "pods/attach")
_ORDINARY_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
"""Pod Security's baseline."""


class _Part(Struct, rename="camel", frozen=True):
    pass


class Metadata(_Part, frozen=True):
    name: str = ""
    namespace: str = ""
    annotations: Mapping[str, str] | None = None


class _Capabilities(_Part, frozen=True):
    add: tuple[str, ...] | None = None


class _Security(_Part, frozen=True):
    privileged: bool | None = None
    proc_mount: str | None = None
    capabilities: _Capabilities | None = None


class _Container(_Part, frozen=True):
    name: str = ""
    security_context: _Security | None = None


class _Volume(_Part, frozen=True):
    name: str = ""
    host_path: object = None


class _PodSpec(_Part, frozen=True):
    service_account_name: str = ""
    host_network: bool = False
    host_pid: bool = msgspec.field(name="hostPID", default=False)
    host_ipc: bool = msgspec.field(name="hostIPC", default=False)
    volumes: tuple[_Volume, ...] | None = None
    containers: tuple[_Container, ...] = ()
    init_containers: tuple[_Container, ...] | None = None
    ephemeral_containers: tuple[_Container, ...] | None = None


class Pod(_Part, frozen=True):
    metadata: Metadata
    spec: _PodSpec

    @property
    def account(self) -> str:
        return self.spec.service_account_name or "default"


class ServiceAccount(_Part, frozen=True):
    metadata: Metadata


class _Subject(_Part, frozen=True):
    kind: str
    name: str
    namespace: str = ""


class _RoleRef(_Part, frozen=True):
    kind: str
    name: str


class Binding(_Part, frozen=True):
    """A RoleBinding, or a ClusterRoleBinding, which has no namespace."""

    metadata: Metadata
    role_ref: _RoleRef
    subjects: tuple[_Subject, ...] | None = None


class _PolicyRule(_Part, frozen=True):
    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    resource_names: tuple[str, ...] | None = None
    non_resource_urls: tuple[str, ...] | None = msgspec.field(name="nonResourceURLs", default=None)

    def rule(self) -> Rule:
        return Rule(self.api_groups or (), self.resources or (), self.verbs, self.resource_names or ())


class Role(_Part, frozen=True):
    """A Role, or a ClusterRole, which has no namespace."""

    metadata: Metadata
    rules: tuple[_PolicyRule, ...] | None = None


class Rights(Struct, frozen=True):
    """All that a cluster has of who may do what."""

    bindings: Sequence[Binding]
    roles: Sequence[Role]


def entered(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The pods that these rules let somebody into, of those that they name."""
    return tuple(
        dict.fromkeys(
            name
            for rule in rules
            if any(one in rule.resources for one in _ENTRANCES)
            for name in rule.resource_names
        )
    )


def too_strong(
    pod: Pod, account: ServiceAccount, rights: Rights, given: Sequence[Rule], namespace: str
) -> str:
    """Why nobody who has `given` in `namespace` may enter a pod there; empty: they may."""
    if how := _root_of_its_node(pod.spec):
        return f"pod {pod.metadata.name} is as good as root on its node: {how}"
    who = f"pod {pod.metadata.name} runs as ServiceAccount {pod.account}, which"
    for key in _CLOUD_IDENTITIES:
        if key in (account.metadata.annotations or {}):
            return f"{who} has rights in the cloud: {key}"
    roles = {(role.metadata.namespace, role.metadata.name): role for role in rights.roles}
    for binding in rights.bindings:
        if any(_is_of(subject, binding, namespace, pod.account) for subject in binding.subjects or ()):
            place = binding.metadata.namespace
            of = place if binding.role_ref.kind == "Role" else ""
            role = roles.get((of, binding.role_ref.name))
            # A right in another place is none that was given.
            if role and (more := _beyond(role, given if place == namespace else ())):
                where = f"in namespace {place}" if place else "in the whole cluster"
                return f"{who} may {more} {where}"
    return ""


def _beyond(role: Role, given: Sequence[Rule]) -> str:
    for one in role.rules or ():
        if one.non_resource_urls:
            return f"{', '.join(one.verbs)} {', '.join(one.non_resource_urls)}"
        if lacking := uncovered(given, [one.rule()]):
            return str(lacking[0])
    return ""


def _is_of(subject: _Subject, binding: Binding, namespace: str, account: str) -> bool:
    if subject.kind == "ServiceAccount":
        place = subject.namespace or binding.metadata.namespace
        return (place, subject.name) == (namespace, account)
    if subject.kind == "User":
        return subject.name == f"system:serviceaccount:{namespace}:{account}"
    return subject.name == f"system:serviceaccounts:{namespace}"


def _root_of_its_node(spec: _PodSpec) -> str:
    for shared, what in (
        (spec.host_network, "hostNetwork"),
        (spec.host_pid, "hostPID"),
        (spec.host_ipc, "hostIPC"),
    ):
        if shared:
            return what
    for volume in spec.volumes or ():
        if volume.host_path is not None:
            return f"volume {volume.name} is a path of it"
    for one in (*spec.containers, *(spec.init_containers or ()), *(spec.ephemeral_containers or ())):
        security = one.security_context or _Security()
        if security.privileged:
            return f"container {one.name} is privileged"
        if security.proc_mount not in (None, "", "Default"):
            return f"container {one.name} sees all of /proc"
        added = (security.capabilities or _Capabilities()).add or ()
        if more := sorted(set(added) - _ORDINARY_CAPABILITIES):
            return f"container {one.name} has {', '.join(more)}"
    return ""
