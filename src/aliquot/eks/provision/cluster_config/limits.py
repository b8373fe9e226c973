"""What AWS and Kubernetes take of labels, taints, tags and the like. Held here, as they say it only when half of a cluster is made."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import UNSET

from aliquot.document import DocumentError, load_all
from aliquot.eks.provision.cluster_config.not_done import Path
from aliquot.eks.provision.cluster_config.schema import (
    AccessEntry,
    Addon,
    FargateProfile,
    NodeGroup,
    PodIdentity,
    Taint,
)

Complain = Callable[[Path, str], DocumentError]

_WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_WILD_NAMESPACE = re.compile(r"[a-z0-9*?]([a-z0-9*?-]{0,61}[a-z0-9*?])?")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_TAG = re.compile(r"[\w\s.:/=+@-]*")
_OUR_TAGS = ("aws:", "aliquot.dev/")
_MOST_TAGS = 47
"""Of 50; three are ours."""
_MOST_TAINTS = 50
_MOST_SELECTORS, _MOST_SELECTOR_LABELS = 5, 5
_KUBELETS = ("kubelet.kubernetes.io", "node.kubernetes.io")
"""Domains below kubernetes.io whose labels a kubelet may give itself."""
_MOST_AT_ONCE = 100
_RANGES = {"gp3": ("3000 to 80000", range(3000, 80001)), "io1": ("100 to 64000", range(100, 64001))} | {
    "io2": ("100 to 256000", range(100, 256001))
}
_THROUGHPUT = range(125, 2001)
_RESERVED_NAMES = ("system:", "eks:", "aws:", "amazon:", "iam:")


def tags(given: Mapping[str, str], place: Path, wrong: Complain) -> None:
    if len(given) > _MOST_TAGS:
        raise wrong(place, f"{len(given)} tags: AWS takes 50, of which three are Aliquot's")
    for key, value in given.items():
        at = (*place, key)
        if key.lower().startswith(_OUR_TAGS):
            raise wrong(at, f"tags that begin with {' or '.join(_OUR_TAGS)} are not yours to set")
        if key == "Name":
            raise wrong(at, "each resource gets a Name of its own: take it out")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise wrong(at, "a tag's key has 1 to 128 characters, its value 256 at most")
        if not _TAG.fullmatch(key) or not _TAG.fullmatch(value):
            raise wrong(at, "letters, digits, spaces and _ . : / = + - @ are expected")


def group(given: NodeGroup, place: Path, wrong: Complain) -> None:
    for key, value in given.labels.items():
        _label(key, value, (*place, "labels", key), wrong)
    _taints(given.taints, (*place, "taints"), wrong)
    tags(given.tags, (*place, "tags"), wrong)
    _policies(given.iam.policy_arns, (*place, "iam", "attachPolicyARNs"), wrong)
    if len(set(given.instance_types)) != len(given.instance_types):
        raise wrong((*place, "instanceTypes"), "a type is named twice")
    _volume(given, place, wrong)
    if given.update is not None:
        for name, most in (
            ("maxUnavailable", given.update.unavailable),
            ("maxUnavailablePercentage", given.update.unavailable_percent),
        ):
            if isinstance(most, int) and not 1 <= most <= _MOST_AT_ONCE:
                raise wrong((*place, "updateConfig", name), f"1 to {_MOST_AT_ONCE} is expected")
    repair = given.repair
    if repair is not None:
        for name, count, percent in (
            ("maxUnhealthyNodeThreshold", repair.unhealthy_count, repair.unhealthy_percent),
            ("maxParallelNodesRepaired", repair.parallel_count, repair.parallel_percent),
        ):
            at = (*place, "nodeRepairConfig")
            if isinstance(count, int) and isinstance(percent, int):
                raise wrong(at, f"{name}Count or {name}Percentage: not both")
            if isinstance(count, int) and count < 1:
                raise wrong((*at, f"{name}Count"), "1 or more is expected")
            if isinstance(percent, int) and not 1 <= percent <= 100:
                raise wrong((*at, f"{name}Percentage"), "1 to 100 is expected")


def _volume(given: NodeGroup, place: Path, wrong: Complain) -> None:
    iops, throughput, kind = given.volume_iops, given.volume_throughput_mib, given.volume_type
    if iops is not UNSET:
        if kind not in _RANGES:
            raise wrong(
                (*place, "volumeIOPS"), f"{kind} has no choice of it: take it out, or volumeType: gp3"
            )
        words, allowed = _RANGES[kind]
        if iops not in allowed:
            raise wrong((*place, "volumeIOPS"), f"{words} can be had of {kind}")
    if throughput is not UNSET:
        if kind != "gp3":
            raise wrong((*place, "volumeThroughput"), f"{kind} has no choice of it: take it out")
        if throughput not in _THROUGHPUT:
            raise wrong((*place, "volumeThroughput"), "125 to 2000 MiB/s can be had of gp3")


def _label(key: str, value: str, place: Path, wrong: Complain) -> None:
    domain, slash, name = key.rpartition("/")
    if not _WORD.fullmatch(name) or (slash and not _DOMAIN.fullmatch(domain)):
        raise wrong(
            place, f"{key!r} is no key of a label: 63 letters, digits and - _ . at most, behind DOMAIN/"
        )
    if not value:
        raise wrong(place, "EKS takes no empty value")
    if not _WORD.fullmatch(value):
        raise wrong(place, f"{value!r} is no value of a label: 63 letters, digits and - _ . at most")
    if domain == "eks.amazonaws.com" or (
        _below(domain, ("kubernetes.io", "k8s.io")) and not _below(domain, _KUBELETS)
    ):
        raise wrong(place, "Kubernetes and EKS keep that prefix for themselves")


def _below(domain: str, roots: Iterable[str]) -> bool:
    return any(domain == root or domain.endswith(f".{root}") for root in roots)


def _taints(given: Sequence[Taint], place: Path, wrong: Complain) -> None:
    if len(given) > _MOST_TAINTS:
        raise wrong(place, f"{len(given)} taints: EKS takes {_MOST_TAINTS}")
    for number, one in enumerate(given):
        domain, slash, name = one.key.rpartition("/")
        if not _WORD.fullmatch(name) or (slash and not _DOMAIN.fullmatch(domain)):
            raise wrong((*place, number, "key"), f"{one.key!r} is no key of a taint")
        if one.value and not _WORD.fullmatch(one.value):
            raise wrong((*place, number, "value"), f"{one.value!r} is no value of a taint")
        if (one.key, one.effect) in [(before.key, before.effect) for before in given[:number]]:
            raise wrong((*place, number), f"{one.key} with {one.effect} is there twice")


def _policies(arns: Sequence[str], place: Path, wrong: Complain) -> None:
    for number, arn in enumerate(arns):
        if ":policy/" not in arn:
            raise wrong((*place, number), f"{arn!r} is no ARN of a policy: arn:aws:iam::aws:policy/NAME")
        # By their last names they are known again.
        if arn.rpartition("/")[2] in [before.rpartition("/")[2] for before in arns[:number]]:
            raise wrong((*place, number), f"{arn.rpartition('/')[2]} is there twice")


def identity(one: PodIdentity, place: Path, wrong: Complain) -> None:
    if one.namespace and not _DNS_LABEL.fullmatch(one.namespace):
        raise wrong((*place, "namespace"), f"{one.namespace!r} is no name of a namespace")
    if not _DOMAIN.fullmatch(one.service_account):
        raise wrong(
            (*place, "serviceAccountName"), f"{one.service_account!r} is no name of a service account"
        )
    _policies(one.policy_arns, (*place, "permissionPolicyARNs"), wrong)
    tags(one.tags, (*place, "tags"), wrong)
    if one.policy:
        statements = one.policy.get("Statement")
        listed = statements if isinstance(statements, list) else [statements]
        if not all(isinstance(each, dict) and each.get("Effect") in ("Allow", "Deny") for each in listed):
            raise wrong(
                (*place, "permissionPolicy"), "a Statement is expected, each with Effect Allow or Deny"
            )


def identities_once(given: Sequence[PodIdentity], place: Path, wrong: Complain) -> None:
    names = [(one.namespace, one.service_account) for one in given]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise wrong((*place, number), f"{'/'.join(part for part in name if part)} is there twice")


def addon(given: Addon, place: Path, wrong: Complain) -> None:
    if not given.name:
        raise wrong((*place, "name"), "the name of an add-on is expected")
    tags(given.tags, (*place, "tags"), wrong)
    if given.configuration:
        try:
            load_all(given.configuration, source="it")
        except DocumentError as error:
            raise wrong(
                (*place, "configurationValues"), f"YAML or JSON is expected, an object: {error.message}"
            ) from None


def profile(given: FargateProfile, place: Path, wrong: Complain) -> None:
    if not _PROFILE.fullmatch(given.name) or given.name.startswith("eks-"):
        raise wrong(
            (*place, "name"), "letters, digits, - and _ are expected, 100 at most, and not eks- first"
        )
    tags(given.tags, (*place, "tags"), wrong)
    if len(given.selectors) > _MOST_SELECTORS:
        raise wrong((*place, "selectors"), f"{len(given.selectors)} selectors: EKS takes {_MOST_SELECTORS}")
    for number, one in enumerate(given.selectors):
        at = (*place, "selectors", number)
        if not _WILD_NAMESPACE.fullmatch(one.namespace):
            raise wrong((*at, "namespace"), f"{one.namespace!r} is no name of a namespace")
        if len(one.labels) > _MOST_SELECTOR_LABELS:
            raise wrong((*at, "labels"), f"{len(one.labels)} labels: EKS takes {_MOST_SELECTOR_LABELS}")


def entry(given: AccessEntry, place: Path, wrong: Complain) -> None:
    names = [("kubernetesUsername", given.username)] if given.username else []
    for field, name in (*names, *(("kubernetesGroups", one) for one in given.groups)):
        if name.startswith(_RESERVED_NAMES):
            raise wrong(
                (*place, field),
                f"{name}: EKS takes none that begins with {', '.join(_RESERVED_NAMES)}; accessPolicies give rights",
            )
    arns = [one.policy_arn for one in given.policies]
    if len(set(arns)) != len(arns):
        raise wrong((*place, "accessPolicies"), "a policy is there twice: one scope, with all its namespaces")
