"""Launch templates of groups: versions that wait to come along with the next roll, images that EKS cannot choose."""

from collections.abc import Iterator

from aliquot.eks.estate.estate import Estate, Nodegroup, Template
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.minor import Minor

CHECK = "launch-templates"


def judge(estate: Estate, to: Minor) -> Iterator[Finding]:
    for group in estate.nodegroups:
        versions = [one for one in estate.templates if group.template and one.id == group.template]
        if any(one.gone for one in versions):
            yield _finding(
                group,
                Severity.BLOCK,
                f"launch template {group.template}, version {group.template_version}, is not there any more: EKS starts no node of the group",
                "give the group another version (UpdateNodegroupVersion with launchTemplate), or make it anew",
            )
            continue
        yield from _pending(group, versions)
        own = next((one for one in versions if one.version == group.template_version), None)
        if group.ami_type == "CUSTOM" or (own is not None and own.image):
            image = f" ({own.image})" if own is not None and own.image else ""
            yield _finding(
                group,
                Severity.WARN,
                f"its image is your own{image}: EKS chooses no release for it, and its kubelet stays what the image has",
                f"build one of {to} and put it into a new version of the launch template before the nodes' turn",
            )


def _pending(group: Nodegroup, versions: list[Template]) -> Iterator[Finding]:
    """A roll by EKS keeps the version that the group has; whoever names another, or `$Latest`, brings along what waits there."""
    if not group.template_version.isdigit():
        return
    used = int(group.template_version)
    default = next((int(one.version) for one in versions if one.is_default), used)
    latest = next((int(one.version) for one in versions if one.is_latest), used)
    if default != used:
        yield _finding(
            group,
            Severity.WARN,
            f"it has version {used} of its launch template {group.template}, whose default is {default}: what is between them comes with the next roll that names the default, together with the new minor",
            "bring it in on its own before, or keep to the version that the group has",
        )
    elif latest > used:
        yield _finding(
            group,
            Severity.INFO,
            f"its launch template {group.template} has a version {latest}, and the group has {used}",
            "a roll keeps the group's; name another on purpose alone",
        )


def _finding(group: Nodegroup, severity: Severity, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=severity, what=f"node group {group.name}", why=why, fix=fix)
