"""EKS add-ons: which, of which build, with which rights. And rights of your own pods."""

from collections.abc import Iterator
from typing import Any

from aliquot import document
from aliquot.eks.provision import roles
from aliquot.eks.provision.cluster_config.not_done import Path
from aliquot.eks.provision.cluster_config.reading import Wanted
from aliquot.eks.provision.cluster_config.schema import Addon, ClusterConfig, PodIdentity
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import Call, Look, Resource
from aliquot.eks.provision.site import Site
from aliquot.eks.provision.wanted import iam
from aliquot.eks.provision.wanted.cluster import CLUSTER

AGENT = "eks-pod-identity-agent"
DEFAULT = ("vpc-cni", "kube-proxy", AGENT, "coredns")
BEFORE_NODES = frozenset({"vpc-cni", "kube-proxy", AGENT})
"""Without them no node gets ready. All others want nodes to run on."""
_NONE = ("ResourceNotFoundException",)
_LATEST = ("", "latest", "default")


def chosen(config: ClusterConfig) -> tuple[Addon, ...]:
    """Those of the file, and those without which a cluster is none."""
    named = {addon.name: addon for addon in config.addons}
    defaults = () if config.addons_config.no_defaults else DEFAULT
    missing = [Addon(name=name) for name in defaults if name not in named]
    every = {addon.name: addon for addon in (*missing, *config.addons)}
    needs_agent = config.iam.pod_identities or any(_identities(config, addon) for addon in every.values())
    if needs_agent:
        every.setdefault(AGENT, Addon(name=AGENT))
    return tuple(
        every[name] for name in sorted(every, key=lambda name: (name not in DEFAULT, _place(name), name))
    )


def _place(name: str) -> int:
    return DEFAULT.index(name) if name in DEFAULT else len(DEFAULT)


def _identities(config: ClusterConfig, addon: Addon) -> tuple[PodIdentity, ...]:
    if addon.pod_identities or addon.role_arn:
        return addon.pod_identities
    asked = addon.default_identities or config.addons_config.auto_identities
    # The CNI's are not on nodes, so it has to have them here.
    if addon.name in roles.RECOMMENDED and (asked or addon.name == "vpc-cni"):
        account, policy = roles.RECOMMENDED[addon.name]
        return (PodIdentity(service_account=account, policy_arns=(policy,)),)
    return ()


def resources(
    wanted: Wanted, names: Names, site: Site, after_nodes: tuple[str, ...]
) -> tuple[list[Resource], list[Resource]]:
    """Those before the nodes, and those after. Raises DocumentError."""
    before: list[Resource] = []
    later: list[Resource] = []
    for addon in chosen(wanted.config):
        early = addon.name in BEFORE_NODES
        made = list(_addon(wanted, names, site, addon, () if early else after_nodes))
        (before if early else later).extend(made)
    return before, later


def _addon(
    wanted: Wanted, names: Names, site: Site, addon: Addon, after: tuple[str, ...]
) -> Iterator[Resource]:
    config, namespace = wanted.config, roles.NAMESPACES.get(addon.name, "kube-system")
    key = f"addon/{addon.name}"
    associations = []
    attached: list[str] = []
    for identity in _identities(config, addon):
        role_arn: Any = identity.role_arn
        if not role_arn:
            what = f"addon.{addon.name}.{identity.service_account}"
            parts = list(_role(names, site, what, namespace, identity))
            attached += [part.key for part in parts]
            yield from parts
            role_arn = iam.arn(what)
        associations.append({"serviceAccount": identity.service_account, "roleArn": role_arn})
    parameters: dict[str, Any] = {
        "clusterName": names.cluster,
        "addonName": addon.name,
        "addonVersion": _version(wanted, site, addon),
        "resolveConflicts": addon.resolve_conflicts.upper(),
        "tags": names.labels(key, addon.tags),
    }
    if addon.configuration:
        parameters["configurationValues"] = addon.configuration
    if addon.role_arn:
        parameters["serviceAccountRoleArn"] = addon.role_arn
    if associations:
        parameters["podIdentityAssociations"] = associations
    yield Resource(
        key=key,
        title=f"add-on {addon.name} {parameters['addonVersion']}",
        make=Call(service="eks", operation="CreateAddon", parameters=parameters),
        look=Look(
            service="eks",
            operation="DescribeAddon",
            parameters={"clusterName": names.cluster, "addonName": addon.name},
            at="addon",
            absent=_NONE,
            status="status",
            # Degraded, it is there: what it lacks is often a node, and EKS goes on by itself.
            ready=("ACTIVE", "DEGRADED", "UPDATING", "UPDATE_FAILED"),
            failed=("CREATE_FAILED", "DELETING", "DELETE_FAILED"),
            why="health.issues",
        ),
        after=(CLUSTER, *attached, *after),
    )


def _version(wanted: Wanted, site: Site, addon: Addon) -> str:
    config = wanted.config
    number = next((at for at, one in enumerate(config.addons) if one.name == addon.name), None)
    place: Path = ("addons",) if number is None else ("addons", number)
    builds = site.builds.get(addon.name)
    if builds is None:
        raise wanted.wrong(
            place,
            f"EKS has no add-on {addon.name} for {wanted.minor}: aws eks describe-addon-versions lists them",
        )
    if addon.version in _LATEST:
        return builds.versions[0] if addon.version == "latest" else builds.default
    if addon.version in builds.versions:
        return addon.version
    begun = [one for one in builds.versions if one.startswith(f"{addon.version}-")]
    if begun:
        return begun[0]
    raise wanted.wrong(
        (*place, "version"),
        f"{addon.name} has no {addon.version} for {wanted.minor}{document.nearest(addon.version, builds.versions)}"
        f" ({builds.default} is the default)",
    )


def identity(names: Names, site: Site, one: PodIdentity) -> Iterator[Resource]:
    """Of a service account of yours."""
    key = f"pod-identity/{one.namespace}/{one.service_account}"
    role_arn: Any = one.role_arn
    attached: tuple[str, ...] = ()
    if not role_arn:
        what = f"pod.{one.namespace}.{one.service_account}"
        parts = list(_role(names, site, what, one.namespace, one))
        attached = tuple(part.key for part in parts)
        yield from parts
        role_arn = iam.arn(what)
    yield Resource(
        key=key,
        title=f"pod identity of {one.namespace}/{one.service_account}",
        make=Call(
            service="eks",
            operation="CreatePodIdentityAssociation",
            parameters={
                "clusterName": names.cluster,
                "namespace": one.namespace,
                "serviceAccount": one.service_account,
                "roleArn": role_arn,
                "tags": names.labels(key, one.tags),
            },
        ),
        look=Look(
            service="eks",
            operation="ListPodIdentityAssociations",
            parameters={
                "clusterName": names.cluster,
                "namespace": one.namespace,
                "serviceAccount": one.service_account,
            },
            at="associations",
            paged=True,
            absent=_NONE,
        ),
        after=(CLUSTER, *attached),
    )


def _role(names: Names, site: Site, what: str, namespace: str, one: PodIdentity) -> Iterator[Resource]:
    cluster = f"arn:{names.partition}:eks:{names.region}:{site.account}:cluster/{names.cluster}"
    trust = roles.trust_pods(cluster, namespace, one.service_account)
    known = [
        name
        for name, wished in ((roles.EBS_CSI, one.well_known.ebs_csi), (roles.EFS_CSI, one.well_known.efs_csi))
        if wished
    ]
    policies = [arn if arn.startswith("arn:") else names.policy(arn) for arn in (*one.policy_arns, *known)]
    yield from iam.role(names, what, trust, policies, one.policy)
