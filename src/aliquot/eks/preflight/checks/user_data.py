"""Flags in user data of launch templates with which a newer kubelet does not start."""

import re
from collections.abc import Iterator

from msgspec import Struct

from aliquot.eks.estate.estate import Estate
from aliquot.eks.preflight.findings import ORDER, Finding, Severity, Unchecked
from aliquot.eks.versions import changes
from aliquot.eks.versions.minor import Minor

CHECK = "user-data"


class _Flag(Struct, frozen=True):
    pattern: str
    change: str
    """Its id in versions/data/changes.yaml."""
    why: str
    fix: str
    severity: Severity | None = None
    """Where it is another than that of the change."""


_COMMENT = re.compile(r"^[ \t]*#(?!!).*$", re.MULTILINE)
"""Of scripts, YAML and TOML: a whole line."""
_OUT = "take it out of the user data"
_STATIC_PODS = r"(?s)\A(?=.*(?:staticPodPath|/etc/kubernetes/manifest|kubernetes\.static-pods))(?=.*(?:secretKeyRef|secretRef|secretName|configMapKeyRef|configMapRef|configMap:))"
_CADVISOR = r"--(application-metrics-count-limit|boot-id-file|container-hints|containerd-namespace|enable-load-reader|global-housekeeping-interval|log-cadvisor-usage|machine-id-file|storage-driver-\w+)\b"
"""The rest of what kubelet takes for cAdvisor's sake and calls deprecated (cmd/kubelet/app/options/globalflags_linux.go)."""
FLAGS = (
    _Flag(r"--container-runtime(?![\w-])", "container-runtime-flag", "kubelet does not know --container-runtime", _OUT),
    _Flag(r"--keep-terminated-pod-volumes\b", "kubelet-keep-volumes", "kubelet does not start with --keep-terminated-pod-volumes", _OUT),
    _Flag(r"--cloud-provider[= ]aws\b", "cloud-provider-flag", "kubelet does not know --cloud-provider=aws", "it has to be external"),
    _Flag(r"--runonce\b", "kubelet-runonce", "--runonce is deprecated", _OUT),
    _Flag(r"--cgroup-driver\b", "cgroup-driver-flag", "--cgroup-driver is deprecated: kubelet asks containerd", _OUT),
    _Flag(r"--pod-infra-container-image\b", "kubelet-pause-image", "kubelet does not start with --pod-infra-container-image", _OUT),
    _Flag(_STATIC_PODS, "static-pod-references", "static pods may not refer to Secrets and ConfigMaps", "put what they need into their manifest or onto the node"),
    _Flag(r"^(?!.*\bdockerd\b).*--containerd[= ]", "cadvisor-flags", "kubelet does not start with --containerd", _OUT),
    _Flag(r"--event-storage-(age|event)-limit\b", "cadvisor-flags", "kubelet does not start with the old flags of cAdvisor", _OUT),
    _Flag(_CADVISOR, "cadvisor-flags", "old flags of cAdvisor are taken out one after the other, and kubelet does not start with one that it does not know", _OUT, Severity.WARN),
    _Flag(r"eventRecordQPS[\"']?\s*:\s*0\b|^\s*event-qps\s*=\s*0\b", "event-record-qps", "eventRecordQPS: 0 means without limit", "give it a number, or leave it out"),
    _Flag(r"^\s*version\s*=\s*2\b", "containerd-2", "AMIs have containerd 2, which does not read configuration of version 2 as it was", "write it for version 3, or through the AMI's own drop-ins"),
)  # fmt: skip


def judge(estate: Estate, now: Minor, to: Minor) -> Iterator[Finding | Unchecked]:
    """A flag that an older kubelet did not know, either, is told without a hop. A version that no group has yet blocks nothing: a roll
    keeps the group's own."""
    for template in estate.templates:
        used_by = sorted(
            group.name
            for group in estate.nodegroups
            if group.template == template.id
            and (template.is_latest or group.template_version in ("", template.version))
        )
        if not used_by:
            continue
        in_use = any(
            group.template == template.id and group.template_version in ("", template.version)
            for group in estate.nodegroups
        )
        named = f"launch template {template.id}, version {template.version}"
        if template.user_data_unreadable:
            yield Unchecked(what=f"user data of {named}", why=template.user_data_unreadable)
        user_data = _COMMENT.sub("", template.user_data)
        for flag in FLAGS:
            row = changes.row(flag.change)
            if row.minor > to or not re.search(flag.pattern, user_data, re.MULTILINE):
                continue
            severity = flag.severity or row.severity
            yield Finding(
                check=CHECK,
                severity=severity if in_use else max(severity, Severity.WARN, key=ORDER.__getitem__),
                what=named,
                where=f"node group {', '.join(used_by)}",
                why=flag.why,
                fix=flag.fix,
                minor=row.minor if row.minor > now else None,
            )
