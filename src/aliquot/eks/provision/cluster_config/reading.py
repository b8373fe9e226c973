"""The file into a ClusterConfig, or one line that says where it is wrong and how to put it right. AWS is not asked."""

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET, Struct

from aliquot import document
from aliquot.document import Document, DocumentError
from aliquot.eks.provision import network
from aliquot.eks.provision.cluster_config import limits, not_done
from aliquot.eks.provision.cluster_config.limits import Complain
from aliquot.eks.provision.cluster_config.not_done import Path as Place
from aliquot.eks.provision.cluster_config.not_done import dotted
from aliquot.eks.provision.cluster_config.schema import ClusterConfig, NodeGroup, PodIdentity
from aliquot.eks.versions.minor import Minor

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
"""Of a cluster."""
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ARN = re.compile(r"arn:aws[a-z-]*:(?P<service>[a-z0-9-]+):[a-z0-9-]*:(\d{12}|aws)?:.+")
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ALL_LOGS = ("all", "*")
_RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922)
_RETENTIONS_LONG = (3288, 3653)


class Wanted(Struct, frozen=True, kw_only=True):
    """A file that was read, and what to say of a place in it."""

    config: ClusterConfig
    minor: Minor
    source: Document

    def wrong(self, path: Place, message: str) -> DocumentError:
        """`FILE:LINE: PATH: MESSAGE`."""
        return self.source.error(path, f"{dotted(path)}: {message}")


def read(path: Path) -> Wanted:
    """Raises DocumentError."""
    return parse(document.read(path), source=str(path))


def parse(text: str, *, source: str) -> Wanted:
    """Raises DocumentError."""
    parsed = document.parse(text, source=source)
    not_done.refuse(parsed)
    _refuse_number(parsed)
    config = parsed.into(ClusterConfig)
    try:
        minor = Minor.parse(config.metadata.version)
    except ValueError as error:
        raise parsed.error(("metadata", "version"), f"metadata.version: {error}") from None
    wanted = Wanted(config=config, minor=minor, source=parsed)
    _check(wanted)
    return wanted


def _refuse_number(parsed: Document) -> None:
    """YAML reads 1.30 as the number 1.3."""
    metadata = parsed.value.get("metadata") if isinstance(parsed.value, dict) else None
    version = metadata.get("version") if isinstance(metadata, dict) else None
    if isinstance(version, (int, float)) and not isinstance(version, bool):
        raise parsed.error(
            ("metadata", "version"),
            'metadata.version: YAML reads it as a number: write it in quotes, as "1.32"',
        )


def _check(wanted: Wanted) -> None:
    config, wrong = wanted.config, wanted.wrong
    if not NAME.fullmatch(config.metadata.name):
        raise wrong(
            ("metadata", "name"),
            "letters, digits, - and _ are expected, a letter or digit first, 100 at most",
        )
    if not _REGION.fullmatch(config.metadata.region):
        raise wrong(("metadata", "region"), f"{config.metadata.region!r} is no region: write it as eu-west-1")
    limits.tags(config.metadata.tags, ("metadata", "tags"), wrong)
    _check_vpc(wanted)
    _check_logging(wanted)
    if config.secrets is not None and config.secrets.key_arn:
        _check_arn(config.secrets.key_arn, "kms", ("secretsEncryption", "keyARN"), wrong)
        if config.secrets.key_arn.split(":")[3] != config.metadata.region:
            raise wrong(
                ("secretsEncryption", "keyARN"),
                f"the key is not in {config.metadata.region}: name one that is",
            )
    _check_access(wanted)
    for number, one in enumerate(config.iam.pod_identities):
        place: Place = ("iam", "podIdentityAssociations", number)
        if not one.namespace:
            raise wrong(place, "field 'namespace' is missing")
        _check_identity(one, place, wrong)
    limits.identities_once(config.iam.pod_identities, ("iam", "podIdentityAssociations"), wrong)
    for name, arn in (
        ("serviceRoleARN", config.iam.service_role_arn),
        ("fargatePodExecutionRoleARN", config.iam.fargate_role_arn),
    ):
        if arn:
            _check_role(arn, ("iam", name), wrong)
    _check_addons(wanted)
    # Names of roles that differ in case alone are one to IAM.
    _once([group.name.casefold() for group in config.groups], "managedNodeGroups", wrong)
    for number, group in enumerate(config.groups):
        _check_group(wanted, group, ("managedNodeGroups", number))
    _once([profile.name for profile in config.fargate], "fargateProfiles", wrong)
    for number, profile in enumerate(config.fargate):
        place = ("fargateProfiles", number)
        if not profile.selectors:
            raise wrong((*place, "selectors"), "a profile selects by at least one namespace")
        _check_subnets(wanted, profile.subnets, (*place, "subnets"))
        if profile.role_arn:
            _check_role(profile.role_arn, (*place, "podExecutionRoleARN"), wrong)
        limits.profile(profile, place, wrong)


def _check_vpc(wanted: Wanted) -> None:
    config, wrong = wanted.config, wanted.wrong
    vpc, given = config.vpc, wanted.source.value.get("vpc") or {}
    named = len(vpc.subnets.public) + len(vpc.subnets.private)
    if vpc.id and named < 2:
        raise wrong(("vpc", "id"), "name its subnets, too, in two zones at least, under vpc.subnets")
    if named and not vpc.id:
        raise wrong(("vpc", "subnets"), "subnets that are there are named together with their vpc.id")
    if vpc.id:
        for key, advice in (
            ("cidr", "the VPC has one already"),
            ("nat", "gateways of a VPC that is there stay as they are"),
        ):
            if key in given:
                raise wrong(("vpc", key), f"{advice}: take it out")
        if config.zones:
            raise wrong(("availabilityZones",), "the subnets say in which zones it is: take it out")
    if len(set(config.zones)) != len(config.zones):
        raise wrong(("availabilityZones",), "a zone is named twice")
    if len(config.zones) == 1:
        raise wrong(("availabilityZones",), "EKS asks for two zones at least")
    try:
        network.divide(vpc.cidr, max(2, len(config.zones)))
    except ValueError as error:
        raise wrong(("vpc", "cidr"), str(error)) from None
    if config.network.service_cidr is not None:
        try:
            network.check_services(config.network.service_cidr, [] if vpc.id else [vpc.cidr])
        except ValueError as error:
            raise wrong(("kubernetesNetworkConfig", "serviceIPv4CIDR"), str(error)) from None
    if not vpc.endpoints.public and not vpc.endpoints.private:
        raise wrong(("vpc", "clusterEndpoints"), "nobody would reach the API server: switch one on")
    if vpc.public_cidrs and not vpc.endpoints.public:
        raise wrong(("vpc", "publicAccessCIDRs"), "the public endpoint is off: take it out")
    if len(vpc.public_cidrs) > network.MOST_PUBLIC:
        raise wrong(("vpc", "publicAccessCIDRs"), f"EKS takes {network.MOST_PUBLIC} blocks at most")
    for number, cidr in enumerate(vpc.public_cidrs):
        try:
            network.check_public(cidr)
        except ValueError as error:
            raise wrong(("vpc", "publicAccessCIDRs", number), str(error)) from None


def _check_logging(wanted: Wanted) -> None:
    logging, place = wanted.config.cloud_watch.logging, ("cloudWatch", "clusterLogging")
    for number, name in enumerate(logging.types):
        if name not in (*_LOGS, *_ALL_LOGS):
            raise wanted.wrong(
                (*place, "enableTypes", number),
                f"{name!r} is none of {', '.join(_LOGS)}{document.nearest(name, _LOGS)}",
            )
    days = logging.retention_days
    if days and days not in (*_RETENTIONS, *_RETENTIONS_LONG):
        raise wanted.wrong(
            (*place, "logRetentionInDays"),
            f"CloudWatch does not keep logs for {days} days: {', '.join(map(str, _RETENTIONS[:12]))} and more can be had",
        )
    if days and not logging.types:
        raise wanted.wrong((*place, "logRetentionInDays"), "nothing is logged: name enableTypes, too")


def log_types(config: ClusterConfig) -> tuple[str, ...]:
    chosen = config.cloud_watch.logging.types
    return _LOGS if set(chosen) & set(_ALL_LOGS) else tuple(name for name in _LOGS if name in chosen)


def _check_access(wanted: Wanted) -> None:
    wrong = wanted.wrong
    place: Place = ("accessConfig", "accessEntries")
    entries = wanted.config.access.entries
    for number, entry in enumerate(entries):
        _check_arn(entry.principal_arn, "iam", (*place, number, "principalARN"), wrong)
        if entry.principal_arn in [one.principal_arn for one in entries[:number]]:
            raise wrong((*place, number, "principalARN"), f"{entry.principal_arn} is there twice")
        if entry.type != "STANDARD" and (entry.groups or entry.username or entry.policies):
            raise wrong(
                (*place, number, "type"), f"groups, names and policies go with STANDARD, not {entry.type}"
            )
        limits.entry(entry, (*place, number), wrong)
        for index, policy in enumerate(entry.policies):
            at = (*place, number, "accessPolicies", index)
            _check_arn(policy.policy_arn, "eks", (*at, "policyARN"), wrong)
            if (policy.scope.type == "namespace") != bool(policy.scope.namespaces):
                raise wrong((*at, "accessScope"), "namespaces go with type namespace, and it with them")


def _check_addons(wanted: Wanted) -> None:
    wrong = wanted.wrong
    _once([addon.name for addon in wanted.config.addons], "addons", wrong)
    for number, addon in enumerate(wanted.config.addons):
        place: Place = ("addons", number)
        if addon.role_arn:
            _check_role(addon.role_arn, (*place, "serviceAccountRoleARN"), wrong)
        if addon.role_arn and addon.pod_identities:
            raise wrong((*place, "serviceAccountRoleARN"), "it, or podIdentityAssociations: not both")
        limits.addon(addon, place, wrong)
        limits.identities_once(addon.pod_identities, (*place, "podIdentityAssociations"), wrong)
        for index, one in enumerate(addon.pod_identities):
            at = (*place, "podIdentityAssociations", index)
            if one.namespace:
                raise wrong((*at, "namespace"), "it is the add-on's: take it out")
            _check_identity(one, at, wrong)


def _check_identity(one: PodIdentity, place: Place, wrong: Complain) -> None:
    if one.role_arn:
        _check_role(one.role_arn, (*place, "roleARN"), wrong)
    limits.identity(one, place, wrong)
    makes = bool(one.policy_arns or one.policy or one.well_known.ebs_csi or one.well_known.efs_csi)
    if makes == bool(one.role_arn):
        raise wrong(
            place,
            "give roleARN, or what a role is made of (permissionPolicyARNs, permissionPolicy, wellKnownPolicies)",
        )
    for index, arn in enumerate(one.policy_arns):
        _check_arn(arn, "iam", (*place, "permissionPolicyARNs", index), wrong)


def _check_group(wanted: Wanted, group: NodeGroup, place: Place) -> None:
    wrong = wanted.wrong
    if not _GROUP.fullmatch(group.name):
        raise wrong((*place, "name"), "letters, digits, - and _ are expected, 63 at most")
    if group.instance_type and group.instance_types:
        raise wrong((*place, "instanceType"), "it, or instanceTypes: not both")
    least, size, most = group.sizes
    if not 0 <= least <= size <= most:
        raise wrong(
            place, f"minSize {least}, desiredCapacity {size}, maxSize {most}: each is at most the next"
        )
    if not 1 <= group.volume_size_gib <= 16384:
        raise wrong((*place, "volumeSize"), "1 to 16384 GiB can be had")
    if group.volume_type in ("io1", "io2") and group.volume_iops is UNSET:
        raise wrong((*place, "volumeType"), f"{group.volume_type} takes volumeIOPS, too")
    if group.ami_family == "AmazonLinux2" and wanted.minor > Minor(1, 32):
        raise wrong(
            (*place, "amiFamily"), f"there is no AmazonLinux2 for {wanted.minor}: use AmazonLinux2023"
        )
    _check_subnets(wanted, group.subnets, (*place, "subnets"))
    if group.subnets and group.zones:
        raise wrong((*place, "availabilityZones"), "it, or subnets: not both")
    for index, zone in enumerate(group.zones):
        if wanted.config.zones and zone not in wanted.config.zones:
            raise wrong(
                (*place, "availabilityZones", index), f"{zone} is none of the cluster's: add it to these"
            )
    _check_network(wanted, group, place)
    _check_capacity(group, place, wrong)
    update = group.update
    if update is not None and (update.unavailable is UNSET) == (update.unavailable_percent is UNSET):
        raise wrong(
            (*place, "updateConfig"), "one of maxUnavailable and maxUnavailablePercentage is expected"
        )
    if group.iam.role_arn:
        _check_role(group.iam.role_arn, (*place, "iam", "instanceRoleARN"), wrong)
        if group.iam.policy_arns:
            raise wrong((*place, "iam", "attachPolicyARNs"), "they go with a role that is made here")
    limits.group(group, place, wrong)


def _check_network(wanted: Wanted, group: NodeGroup, place: Place) -> None:
    wrong, vpc = wanted.wrong, wanted.config.vpc
    if group.efa and not group.private and not group.subnets:
        raise wrong(
            (*place, "efaEnabled"),
            "an instance with several interfaces gets no public address: add privateNetworking: true",
        )
    if group.private and not vpc.id and vpc.nat.gateway == "Disable":
        raise wrong(
            (*place, "privateNetworking"),
            "vpc.nat.gateway is Disable: its nodes would reach neither registry nor AWS; use Single",
        )
    if vpc.id and not group.subnets:
        kind = "private" if group.private else "public"
        if not getattr(vpc.subnets, kind):
            raise wrong(place, f"vpc.subnets.{kind} has none for it: set privateNetworking, or name subnets")


def _check_capacity(group: NodeGroup, place: Place, wrong: Complain) -> None:
    reservation, target = group.reservation, group.reservation.target if group.reservation else None
    if group.spot and (group.market or target):
        raise wrong((*place, "spot"), "spot instances are in no reservation: take one of the two out")
    if target is not None and bool(target.id) == bool(target.group_arn):
        raise wrong(
            (*place, "capacityReservation", "capacityReservationTarget"),
            "one of capacityReservationID and capacityReservationResourceGroupARN is expected",
        )
    if reservation is not None and target is not None and reservation.preference is not None:
        raise wrong(
            (*place, "capacityReservation", "capacityReservationPreference"),
            "it, or capacityReservationTarget: not both",
        )
    if group.market is not None and target is None:
        raise wrong(
            (*place, "instanceMarketOptions"),
            "a capacity block is named, too: capacityReservation.capacityReservationTarget.capacityReservationID",
        )
    if group.market is not None and len(group.types) > 1:
        raise wrong((*place, "instanceTypes"), "a capacity block is of one type")


def _check_subnets(wanted: Wanted, names: Sequence[str], place: Place) -> None:
    subnets = wanted.config.vpc.subnets
    known = {**subnets.public, **subnets.private}
    ids = [one.id for one in known.values()]
    for number, name in enumerate(names):
        if name not in known and name not in ids:
            raise wanted.wrong(
                (*place, number), f"{name} is none of vpc.subnets{document.nearest(name, [*known, *ids])}"
            )


def _check_arn(arn: str, service: str, place: Place, wrong: Complain) -> None:
    found = _ARN.fullmatch(arn)
    if found is None or found["service"] != service:
        raise wrong(place, f"{arn!r} is no ARN of {service}: it begins with arn:aws:{service}:")


def _check_role(arn: str, place: Place, wrong: Complain) -> None:
    _check_arn(arn, "iam", place, wrong)
    if ":role/" not in arn:
        raise wrong(place, f"{arn!r} is no role")


def _once(names: Sequence[str], of: str, wrong: Complain) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise wrong((of, number, "name"), f"{name} is there twice")
