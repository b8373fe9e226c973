"""All of it: every resource of a cluster in an order in which each comes after what it needs."""

from collections.abc import Iterable, Iterator
from datetime import date

from msgspec import Struct

from aliquot.eks.provision import roles
from aliquot.eks.provision.cluster_config.not_done import Path
from aliquot.eks.provision.cluster_config.reading import Wanted
from aliquot.eks.provision.cluster_config.schema import ClusterConfig, FargateProfile, PodIdentity
from aliquot.eks.provision.names import Names
from aliquot.eks.provision.resources import Ref, Resource
from aliquot.eks.provision.site import Site
from aliquot.eks.provision.wanted import addons, cluster, iam, nodes
from aliquot.eks.provision.wanted import network as wanted_network
from aliquot.eks.provision.wanted.layout import Layout, lay_out
from aliquot.eks.versions.calendar import Support
from aliquot.eks.versions.minor import Minor


class Graph(Struct, frozen=True):
    names: Names
    resources: tuple[Resource, ...]
    notes: tuple[str, ...]
    """What whoever makes it should know first."""


def names_of(wanted: Wanted) -> Names:
    metadata = wanted.config.metadata
    return Names(metadata.name, metadata.region, dict(metadata.tags))


def graph(wanted: Wanted, site: Site, today: date) -> Graph:
    """Raises DocumentError: nothing of it can be made as the file has it."""
    notes = [*_check_minor(wanted, site, today), *_open_to_all(wanted)]
    _check_policies(wanted, site)
    _check_accounts(wanted, site.account)
    config, names = wanted.config, names_of(wanted)
    layout = lay_out(wanted, site)
    made: list[Resource] = []
    if layout.zones:
        made += wanted_network.resources(names, config.vpc.cidr, layout.zones, config.vpc.nat.gateway)
    network = [one.key for one in made]
    made += cluster.control_plane(wanted, names, site.account, layout.control_plane, network)
    for entry in config.access.entries:
        made += cluster.entry(names, entry)
    chosen = addons.chosen(config)
    cni_on_nodes = not any(one.name == "vpc-cni" for one in chosen)
    groups = tuple(nodes.group_key(group.name) for group in config.groups)
    profiles = tuple(f"fargate/{profile.name}" for profile in config.fargate)
    early, late = addons.resources(wanted, names, site, (*groups, *profiles))
    made += early
    ready = [one.key for one in early if one.key.startswith("addon/")]
    made += nodes.resources(
        wanted, names, site, layout, cni_on_nodes=cni_on_nodes, after=(cluster.CLUSTER, *network, *ready)
    )
    made += _fargate(wanted, names, site, layout)
    made += late
    for one in config.iam.pod_identities:
        made += addons.identity(names, site, one)
    return Graph(names, tuple(made), tuple(notes))


def _check_minor(wanted: Wanted, site: Site, today: date) -> list[str]:
    minor, calendar = wanted.minor, site.calendar
    row = calendar.row(minor)
    place = ("metadata", "version")
    offered = [one.minor for one in calendar.rows if support_of(site, one.minor, today) in _CREATABLE]
    choice = f"choose one of {', '.join(map(str, offered))}"
    if row is None:
        raise wanted.wrong(place, f"EKS has no {minor}: {choice}")
    support = support_of(site, minor, today)
    if support is Support.UPCOMING:
        raise wanted.wrong(place, f"EKS has {minor} from {row.released} on: {choice}")
    if support is Support.ENDED:
        raise wanted.wrong(
            place, f"support of {minor} ended on {row.extended_until}: no cluster of it can be made; {choice}"
        )
    if support is not Support.EXTENDED:
        return []
    if wanted.config.upgrade_policy.support == "STANDARD":
        raise wanted.wrong(
            ("upgradePolicy", "supportType"),
            f"{minor} has extended support alone, since {row.standard_until}: EXTENDED is expected, or a newer minor",
        )
    price = calendar.prices.of(support)
    return [
        f"{minor} is in extended support: its control plane costs {price:.2f} USD an hour; on {row.extended_until} its"
        " support ends, and AWS then upgrades the cluster by itself"
    ]


def _open_to_all(wanted: Wanted) -> list[str]:
    vpc = wanted.config.vpc
    if not vpc.endpoints.public or vpc.public_cidrs:
        return []
    return [
        "the API server can be reached from everywhere: vpc.publicAccessCIDRs or vpc.clusterEndpoints narrows it"
    ]


_CREATABLE = (Support.STANDARD, Support.EXTENDED)


def support_of(site: Site, minor: Minor, today: date) -> Support | None:
    """None: nothing is known of it."""
    return site.support.get(minor) or site.calendar.support(minor, today)


def _check_policies(wanted: Wanted, site: Site) -> None:
    if not site.policies:
        return
    for number, entry in enumerate(wanted.config.access.entries):
        for index, policy in enumerate(entry.policies):
            if policy.policy_arn not in site.policies:
                known = ", ".join(sorted(arn.rpartition("/")[2] for arn in site.policies))
                raise wanted.wrong(
                    ("accessConfig", "accessEntries", number, "accessPolicies", index, "policyARN"),
                    f"EKS has no {policy.policy_arn.rpartition('/')[2]}; it has {known}",
                )


def _check_accounts(wanted: Wanted, account: str) -> None:
    """Roles are passed to EKS within one account; managed policies are of AWS or of it, too."""
    for place, arn in _roles_and_policies(wanted.config):
        of = arn.split(":")[4]
        if of not in (account, "aws"):
            raise wanted.wrong(place, f"{arn} is of account {of}, and you are in {account}: name one of that")


def _roles_and_policies(config: ClusterConfig) -> Iterator[tuple[Path, str]]:
    def of_identities(identities: Iterable[PodIdentity], at: Path) -> Iterator[tuple[Path, str]]:
        for number, one in enumerate(identities):
            if one.role_arn:
                yield (*at, number, "roleARN"), one.role_arn
            for index, arn in enumerate(one.policy_arns):
                yield (*at, number, "permissionPolicyARNs", index), arn

    found: list[tuple[Path, str]] = [
        (("iam", "serviceRoleARN"), config.iam.service_role_arn),
        (("iam", "fargatePodExecutionRoleARN"), config.iam.fargate_role_arn),
    ]
    for number, group in enumerate(config.groups):
        at: Path = ("managedNodeGroups", number, "iam")
        found.append(((*at, "instanceRoleARN"), group.iam.role_arn))
        found += [((*at, "attachPolicyARNs", index), arn) for index, arn in enumerate(group.iam.policy_arns)]
    for number, profile in enumerate(config.fargate):
        found.append((("fargateProfiles", number, "podExecutionRoleARN"), profile.role_arn))
    for number, addon in enumerate(config.addons):
        found.append((("addons", number, "serviceAccountRoleARN"), addon.role_arn))
        found += of_identities(addon.pod_identities, ("addons", number, "podIdentityAssociations"))
    found += of_identities(config.iam.pod_identities, ("iam", "podIdentityAssociations"))
    return ((place, arn) for place, arn in found if arn)


def _fargate(wanted: Wanted, names: Names, site: Site, layout: Layout) -> list[Resource]:
    profiles = wanted.config.fargate
    if not profiles:
        return []
    private = [spot.subnet for spot in layout.of(private=True)]
    ids = {name: one.id for name, one in wanted.config.vpc.subnets.private.items()}
    placed: list[tuple[FargateProfile, list[Ref | str]]] = []
    for number, profile in enumerate(profiles):
        subnets: list[Ref | str] = [ids.get(name, name) for name in profile.subnets] or private
        if not subnets:
            raise wanted.wrong(("fargateProfiles", number), "Fargate takes private subnets: name some")
        placed.append((profile, subnets))
    made: list[Resource] = []
    role: Ref | str = wanted.config.iam.fargate_role_arn
    if not role and any(not profile.role_arn for profile in profiles):
        arn = f"arn:{names.partition}:eks:{names.region}:{site.account}:cluster/{names.cluster}"
        policies = [names.policy(name) for name in roles.FARGATE]
        made += iam.role(names, "fargate", roles.trust_fargate(arn), policies)
        role = iam.arn("fargate")
    last = made[-1].key if made else ""
    return [*made, *cluster.fargate(names, placed, role, last)]
