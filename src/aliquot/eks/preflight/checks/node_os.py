"""Node groups and nodes whose operating system ends, or does not go with the new kubelet."""

from collections import defaultdict
from collections.abc import Iterator

from aliquot.counting import counted
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions import changes
from aliquot.eks.versions.changes import Change
from aliquot.eks.versions.minor import Minor

CHECK = "node-os"
_AL2 = "Amazon Linux 2"
"""As its nodes say it. AL2023 says `Amazon Linux 2023` and a release."""


def judge_groups(estate: Estate, to: Minor) -> Iterator[Finding]:
    last_al2, gone, cgroup_v1 = (changes.row(id_) for id_ in ("al2-last", "al2-gone", "cgroup-v1-refused"))
    for group in estate.nodegroups:
        if not group.ami_type.startswith("AL2_"):
            continue
        ends = to >= gone.minor
        last = f"{last_al2.minor} is the last minor with AL2"
        if to >= cgroup_v1.minor:
            last += f", and from {cgroup_v1.minor} on kubelet does not start under its cgroup v1"
        yield Finding(
            check=CHECK,
            severity=(gone if ends else last_al2).severity,
            what=f"node group {group.name}",
            why=f"{group.ami_type}: {last}; AL2023 brings another driver, containerd 2, cgroup v2 and kernel at once",
            fix="make a new group of AL2023 beside it, move the work over, then delete this one",
            minor=gone.minor if ends else None,
        )


def judge_nodes(estate: Estate, objects: Objects, to: Minor) -> Iterator[Finding]:
    """Nodes of managed groups are replaced in each hop, by AMIs that have containerd 2 in time; others have to be by somebody."""
    yield from _of_al2(estate, objects, to)
    rolled = {group.name for group in estate.nodegroups if group.ami_type != "CUSTOM"}
    by_runtime: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for node in objects.nodes:
        runtime = node.status.node_info.container_runtime_version
        if runtime.startswith("containerd://1."):
            by_runtime[runtime, node.metadata.labels.get(GROUP_LABEL) in rolled].append(node.metadata.name)
    last_containerd_1 = changes.row("containerd-1-last")
    for (runtime, replaced), names in sorted(by_runtime.items()):
        severity = Severity.INFO if replaced else _severity(last_containerd_1, to)
        yield Finding(
            check=CHECK,
            severity=severity,
            what=f"{counted(len(names), 'node', 'nodes')}, {sorted(names)[0]} first",
            why=f"they have {runtime}; {last_containerd_1.minor} is the last minor that goes with containerd 1",
            fix="the rolls of their groups bring containerd 2, from 1.34 on"
            if replaced
            else "AMIs of AL2023 and Bottlerocket for 1.34 and later have containerd 2",
            minor=last_containerd_1.minor.next if severity is Severity.BLOCK else None,
        )


def _of_al2(estate: Estate, objects: Objects, to: Minor) -> Iterator[Finding]:
    """Of groups whose AMI type does not say it, and of no group: `judge_groups` has the others."""
    told = {group.name for group in estate.nodegroups if group.ami_type.startswith("AL2_")}
    names = sorted(
        node.metadata.name
        for node in objects.nodes
        if node.status.node_info.os_image == _AL2 and node.metadata.labels.get(GROUP_LABEL) not in told
    )
    if names:
        refused = changes.row("cgroup-v1-refused")
        ends = to >= refused.minor
        yield Finding(
            check=CHECK,
            severity=refused.severity if ends else Severity.WARN,
            what=f"{counted(len(names), 'node', 'nodes')} of {_AL2}, {names[0]} first",
            why=f"AL2 has cgroup v1, under which kubelet does not start from {refused.minor} on",
            fix="an image of AL2023 has cgroup v2",
            minor=refused.minor if ends else None,
        )


def _severity(last: Change, to: Minor) -> Severity:
    if to > last.minor:
        return Severity.BLOCK
    return Severity.INFO if to < last.minor else last.severity
