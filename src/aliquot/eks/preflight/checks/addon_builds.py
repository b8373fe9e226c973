"""Add-ons whose build does not go with the new minor, and builds that would."""

from collections.abc import Iterator

from aliquot.eks.estate.estate import BUILDS, Addon, Estate
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.versions.minor import Minor

CHECK = "addon-builds"


def judge(estate: Estate, now: Minor, to: Minor) -> Iterator[Finding]:
    if not estate.was_read(BUILDS):
        return
    for addon in estate.addons:
        minor = now
        build = addon.build
        while minor < to:
            finding, build = _hop(estate, addon, build, minor, minor.next)
            if finding is not None:
                yield finding
            if not build:
                break
            minor = minor.next


def _hop(estate: Estate, addon: Addon, build: str, now: Minor, to: Minor) -> tuple[Finding | None, str]:
    """A finding, if there is one; and the build that goes on from there, if any."""
    after = {one.build for one in estate.builds_of(addon.name, to)}
    if not any(one.addon == addon.name for one in estate.builds):
        return _finding(
            addon, Severity.WARN, to, f"EKS tells of no build of {addon.name}", "see its own documentation"
        ), ""
    if build in after:
        return None, build
    both = [one.build for one in estate.builds_of(addon.name, now) if one.build in after]
    if both:
        why = f"build {build} does not go with {to}"
        return _finding(
            addon, Severity.INFO, to, why, f"the upgrade raises it to {both[0]} first, which goes with both"
        ), both[0]
    if after:
        newest = estate.builds_of(addon.name, to)[0].build
        why = f"build {build} does not go with {to}, and no build goes with both {now} and {to}"
        fix = f"it is raised to {newest} right after the control plane; until then it runs unsupported"
        return _finding(addon, Severity.WARN, to, why, fix), newest
    return _finding(
        addon,
        Severity.BLOCK,
        to,
        f"EKS has no build of it for {to}",
        "wait for one, or do without the add-on",
    ), ""


def _finding(addon: Addon, severity: Severity, minor: Minor, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=severity, what=f"add-on {addon.name}", why=why, fix=fix, minor=minor)
