"""What rights lead to, as a table: of what rules allow, the first row that fits says who may have it.

A row fits by group, resource and verb, and by how far it reaches: named objects, all of one namespace, or the cluster. What no row knows is told by the last ones. So a kind that somebody adds to a cluster is not given away by being new.
Sources: Kubernetes' RBAC good practices, Privilege escalation risks; the field note on break glass, 2.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from aliquot.access.core.hazards.hazard import Safeguard
from aliquot.access.core.templates.template import Tier


class Reach(Enum):
    NAMED_HERE = auto()
    """Objects that a rule names, in one namespace."""
    NAMED_OF_THE_CLUSTER = auto()
    """The same of what is in no namespace."""
    NAMED_EVERYWHERE = auto()
    """That name, in whatever namespace there is one."""
    NAMESPACE = auto()
    CLUSTER = auto()


ANYWHERE = tuple(Reach)
HERE = (Reach.NAMED_HERE, Reach.NAMESPACE)
NAMED = (Reach.NAMED_HERE, Reach.NAMED_OF_THE_CLUSTER)
EVERYWHERE = (Reach.NAMED_EVERYWHERE, Reach.CLUSTER)


@dataclass(frozen=True, slots=True)
class Row:
    groups: frozenset[str]
    resources: frozenset[str]
    verbs: frozenset[str]
    """Of each: none is any."""
    reach: tuple[Reach, ...]
    tier: Tier | None
    """The least that may have it; None: none may."""
    why: str = ""
    instead: str = ""
    safeguard: Safeguard | None = None

    def fits(self, group: str, resource: str, verb: str, reach: Reach) -> bool:
        return (
            reach in self.reach
            and (not self.groups or group in self.groups)
            and (not self.resources or resource in self.resources)
            and (not self.verbs or verb in self.verbs)
        )


def _row(
    where: str,
    verbs: str,
    reach: tuple[Reach, ...],
    tier: Tier | None,
    why: str = "",
    instead: str = "",
    safeguard: Safeguard | None = None,
) -> Row:
    """`where` is `GROUP: RESOURCES`, the core group `core`, or `any`."""
    groups, _, resources = where.partition(":")
    return Row(
        frozenset() if groups == "any" else frozenset("" if one == "core" else one for one in groups.split()),
        frozenset(resources.split()),
        frozenset(verbs.split()),
        reach,
        tier,
        why,
        instead,
        safeguard,
    )


_READ = "get list watch"
_CHANGE = "update patch"
_WRITE = "create update patch delete deletecollection"
_CONNECT = "get create"
_ANY = ""
_NO = None
_S, _H, _C = Tier.STANDARD, Tier.HIGH, Tier.CRITICAL

_ROLES = "who writes roles or bindings can give anybody anything"
_GATE = "who writes what is asked at admission can let through whatever it stops, and see all that is written"
_SHELL = "it is a shell with the rights of the pod's ServiceAccount, and with its secrets"
_ANY_POD = "a pod can mount every Secret of its namespace, run as each of its ServiceAccounts and, unless something stops it, be root on its node"
_TEMPLATE = "its pod template can mount every Secret of the namespace and run as each of its ServiceAccounts"
_NAME_IT = "name the objects: resourceNames"
_ONE_PLACE = "make it a template for one namespace"
_NAME_IN_ONE_PLACE = "name the objects, in a template for one namespace where they are in one"
_LEAVE_OUT = "leave it out"
_RAISE = "leave it out, or make the template's tier {tier}"
_WORKLOADS = "core apps batch: replicationcontrollers deployments statefulsets daemonsets replicasets controllerrevisions cronjobs"
_POD_SHELLS = "core: pods/exec pods/attach"
_PROXIES = "core: pods/portforward pods/proxy services/proxy"
_GPU_SOFTWARE = "aliquot.dev nvidia.com: gpupolicies clusterpolicies nvidiadrivers"
_QUEUES = "aliquot.dev kueue.x-k8s.io scheduling.volcano.sh: queues localqueues clusterqueues workloads"

ROWS = (
    # Whoever has these has everything.
    _row("rbac.authorization.k8s.io authorization.openshift.io:", _WRITE, ANYWHERE, _NO, _ROLES, _LEAVE_OUT),
    _row("user.openshift.io oauth.openshift.io:", _ANY, ANYWHERE, _NO, "who is in which group, and with what they log in, decides what they may", _LEAVE_OUT),
    _row("admissionregistration.k8s.io:", _WRITE, ANYWHERE, _NO, _GATE, _LEAVE_OUT),
    _row("apiregistration.k8s.io:", "create update patch", ANYWHERE, _NO, "who serves an API sees and answers all that is asked of it", _LEAVE_OUT),
    _row("apiregistration.k8s.io:", "delete deletecollection", ANYWHERE, _C, "it takes an API from everybody", _RAISE),
    _row("core: serviceaccounts/token", _ANY, ANYWHERE, _NO, "who makes tokens is that ServiceAccount, also after the grant", _LEAVE_OUT),
    _row("certificates.k8s.io: certificatesigningrequests/approval certificatesigningrequests/status signers", _ANY, ANYWHERE, _NO, "who approves certificates can be anybody, a node or the control plane too", _LEAVE_OUT),
    _row("certificates.k8s.io: certificatesigningrequests", _WRITE, ANYWHERE, _C, "once approved, such a request is a credential that nothing takes back", _LEAVE_OUT),
    _row("certificates.k8s.io: podcertificaterequests podcertificaterequests/status", _WRITE, ANYWHERE, _NO, "such a certificate is a pod's and its ServiceAccount's, and outlives the grant", _LEAVE_OUT),
    _row("certificates.k8s.io: clustertrustbundles", _WRITE, ANYWHERE, _C, "it decides whom all pods trust", _LEAVE_OUT),
    _row("core: nodes/proxy", _ANY, ANYWHERE, _NO, "even its get runs commands in every pod of a node, past audit and admission", "use pods/exec of named pods, or nodes/metrics, nodes/stats and nodes/log"),
    _row("core: nodes/checkpoint", _ANY, ANYWHERE, _NO, "a checkpoint holds all that a container has in memory", _LEAVE_OUT),
    _row("core: pods/binding bindings", _ANY, ANYWHERE, _NO, "it puts pods on nodes past the scheduler", _LEAVE_OUT),
    # Secrets: whatever reads or changes one is answered with what is in it.
    _row("core: secrets", "create", ANYWHERE, _NO, "a Secret of type service-account-token becomes a token of any ServiceAccount", _LEAVE_OUT),
    _row("core: secrets", "deletecollection", ANYWHERE, _NO, "all Secrets of a namespace are gone, and the answer has what was in them", "delete named ones"),
    _row("core: secrets", _ANY, NAMED, _H, "get, list, watch and patch all reveal what is in it", _RAISE),
    _row("core: secrets", _ANY, EVERYWHERE, _NO, "it is the Secrets of every namespace", "make it a template for one namespace, with resourceNames"),
    _row("core: secrets", _ANY, ANYWHERE, _NO, "get, list, watch and patch reveal every Secret of the namespace", "name the Secrets: resourceNames"),
    # Into pods.
    _row(_POD_SHELLS, _ANY, EVERYWHERE, _NO, f"{_SHELL}; of every namespace's pods", _ONE_PLACE),
    # Of pods that are named the agent looks whether one is stronger than the grant, before anybody is let in (core.entering).
    _row(_POD_SHELLS, _ANY, NAMED, _S),
    _row(_POD_SHELLS, _ANY, ANYWHERE, _C, f"{_SHELL}; of all pods of the namespace, whatever they run as", "name the pods: each is then looked at before somebody is let in"),
    _row(_PROXIES, _ANY, EVERYWHERE, _NO, "it reaches every port of every pod, past all NetworkPolicies", _ONE_PLACE),
    _row("core: pods/portforward", _CONNECT, NAMED, _S),
    _row(_PROXIES, _ANY, ANYWHERE, _H, "it reaches ports that only the pod itself or its namespace is meant to, past all NetworkPolicies", "use pods/portforward of named pods"),
    _row("core: pods/ephemeralcontainers", _WRITE, NAMED, _C, "what is put into a running pod has its ServiceAccount, its volumes and, without limits, its node", _RAISE),
    _row("core: pods/ephemeralcontainers", _WRITE, ANYWHERE, _NO, "what is put into a running pod has its ServiceAccount, its volumes and, without limits, its node", _NAME_IT),
    _row("core: pods", "create", ANYWHERE, _C, f"{_ANY_POD}: RBAC cannot ask for a restricted one", "have a vetted Job or CronJob made beforehand, and let it be started"),
    _row("core: pods", _CHANGE, NAMED, _H, "another image runs with the pod's ServiceAccount and secrets", _RAISE),
    _row("core: pods", _CHANGE, ANYWHERE, _C, "another image runs with each pod's ServiceAccount and secrets", _NAME_IT),
    _row("core: pods", "delete", HERE, _S),
    _row("core: pods/eviction", "create", HERE, _S),
    _row("core: pods/eviction", "create", ANYWHERE, _H, "it takes the pods of all teams from their nodes, though no more of them than their budgets allow", _RAISE),
    _row("core: pods/log", _READ, HERE, _S),
    _row("core: pods/log", _READ, ANYWHERE, _H, "logs have secrets in them, here those of every namespace", _ONE_PLACE),
    # What makes pods.
    _row("batch: jobs", "create", ANYWHERE, _C, _TEMPLATE, "have a suspended Job made beforehand, and let it be resumed: patch of a named one"),
    _row("batch: jobs", "update patch delete", NAMED, _S),
    _row(_WORKLOADS, "create", ANYWHERE, _C, _TEMPLATE, "patch a named one, or scale it"),
    _row(_WORKLOADS, _CHANGE, NAMED, _H, _TEMPLATE, "let pods be deleted or the scale be changed, or make the template's tier {tier}"),
    _row(_WORKLOADS, _CHANGE, ANYWHERE, _C, f"{_TEMPLATE}; here of all of them", _NAME_IT),
    _row("core apps: deployments/scale statefulsets/scale replicasets/scale replicationcontrollers/scale", f"get {_CHANGE}", NAMED, _S),
    # Nodes, and what holds a cluster together.
    _row("core: nodes/metrics nodes/stats nodes/healthz nodes/configz nodes/pods nodes/spec", _READ, ANYWHERE, _S),
    _row("core: nodes/log", _READ, ANYWHERE, _H, "a node's logs are those of all that runs there", _RAISE),
    _row("core: nodes", _CHANGE, NAMED, _H, "a node's labels and taints decide which pods come to it, with their secrets, and how its GPUs are cut", _RAISE),
    _row("core: nodes", _CHANGE, ANYWHERE, _C, "labels and taints decide which pods go where, with their secrets; here of all nodes", _NAME_IT),
    _row("core: namespaces namespaces/finalize namespaces/status", _WRITE, ANYWHERE, _C, "a namespace's labels say how much its pods may be (Pod Security) and whom NetworkPolicies let in; deleting it deletes all that is in it", _LEAVE_OUT),
    _row("core: persistentvolumes", "create update patch", ANYWHERE, _C, "a volume can be any directory of a node, or another team's disk", _LEAVE_OUT),
    _row("apiextensions.k8s.io:", _WRITE, ANYWHERE, _C, "a CRD's conversion webhook sees and changes all of its objects, and deleting it deletes them", _LEAVE_OUT),
    # GPUs.
    _row(_GPU_SOFTWARE, _WRITE, ANYWHERE, _C, "it names the images that run as root on every GPU node", _LEAVE_OUT),
    _row("aliquot.dev: gpunodes", _CHANGE, NAMED, _H, "it cuts GPUs anew, which ends or starves what runs there", "ticket: {need: required, withinWindow: true}", Safeguard.CHANGE_WINDOW),
    _row("aliquot.dev: gpunodes", _WRITE, ANYWHERE, _C, "it cuts GPUs anew, on every node", _NAME_IT, Safeguard.CHANGE_WINDOW),
    _row(_QUEUES, _CHANGE, NAMED, _S),
    # What tells or keeps little.
    _row("core: configmaps", _CHANGE, NAMED, _S),
    _row("authorization.k8s.io:", "create", ANYWHERE, _S),
    _row("authentication.k8s.io: selfsubjectreviews", "create", ANYWHERE, _S),
)  # fmt: skip


def first(group: str, resource: str, verb: str, reach: Reach, *, is_known: bool) -> Row:
    """`is_known`: the group is one of Kubernetes' own."""
    rows: Iterator[Row] = (row for row in ROWS if row.fits(group, resource, verb, reach))
    found = next(rows, None)
    if found is not None:
        return found
    _, _, sub = resource.partition("/")
    if verb in _READ.split() and sub in ("", "status", "scale"):
        return _HARMLESS
    if not is_known:
        return _UNKNOWN_NAMED if reach in NAMED else _UNKNOWN
    return _CHANGES_HERE if reach in HERE else _CHANGES_EVERYWHERE


_HARMLESS = _row("any:", _ANY, ANYWHERE, _S)
_CHANGES_HERE = _row(
    "any:",
    _ANY,
    HERE,
    _H,
    "nobody has looked whether this leads to more rights or breaks what others need",
    _RAISE,
)
_CHANGES_EVERYWHERE = _row(
    "any:",
    _ANY,
    ANYWHERE,
    _C,
    "it reaches every team's objects, or what the whole cluster stands on",
    _ONE_PLACE,
)
_UNKNOWN_NAMED = _row("any:", _ANY, NAMED, _H, "what this API does with it is not known here", _RAISE)
_UNKNOWN = _row(
    "any:", _ANY, ANYWHERE, _C, "what this API does with it is not known here", _NAME_IN_ONE_PLACE
)
