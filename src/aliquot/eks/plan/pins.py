"""Whether what was said of node groups can be: before EKS is asked for it, which it is only after the control plane. Pure."""

from collections.abc import Iterable

from aliquot.eks.estate.estate import Estate, Nodegroup
from aliquot.eks.plan.plan import CannotPlan, Options, Pin
from aliquot.eks.plan.targets import CUSTOM, Targets
from aliquot.eks.versions import amis
from aliquot.eks.versions.minor import Minor


def check(estate: Estate, said: Iterable[Pin], to: Minor) -> None:
    """By what stands in them. Raises CannotPlan."""
    groups = {one.name: one for one in estate.nodegroups}
    for pin in said:
        group = groups.get(pin.group)
        if group is None:
            raise CannotPlan(
                f"cluster {estate.cluster.name} has no node group {pin.group}: it has {', '.join(sorted(groups)) or 'none'}"
            )
        if pin.minor > to:
            raise CannotPlan(f"{_named(pin)}: no node group comes to {pin.minor} on the way to {to}")
        if pin.release:
            _check_release(pin, group)
        if pin.template_version:
            _check_version(pin, group)


def check_templates(estate: Estate, options: Options, targets: Targets, way: Iterable[Minor]) -> None:
    """By the launch templates as EC2 has them. Raises CannotPlan."""
    read = {(one.id, one.version): one for one in targets.templates}
    for at in way:
        for group in estate.nodegroups:
            pin = options.pin(group.name, at)
            found = read.get((group.template, pin.template_version)) if pin is not None else None
            if pin is None or found is None:
                continue
            named = f"--template {group.name}@{at}={pin.template_version}"
            if found.gone:
                raise CannotPlan(
                    f"{named}: launch template {group.template} has no version {pin.template_version}: "
                    f"aws ec2 describe-launch-template-versions --launch-template-id {group.template} lists them"
                )
            if group.ami_type == CUSTOM and not found.image:
                raise CannotPlan(
                    f"{named}: this version names no image, and node group {group.name} has one of your own: give a version that names one"
                )
            if group.ami_type != CUSTOM and found.image:
                raise CannotPlan(
                    f"{named}: this version names image {found.image}, and node group {group.name} is of {group.ami_type}, "
                    "whose images EKS chooses: give a version without one"
                )


def _check_release(pin: Pin, group: Nodegroup) -> None:
    named = f"--release {_value(pin, pin.release)}"
    if group.ami_type == CUSTOM:
        raise CannotPlan(
            f"{named}: node group {group.name} has an AMI of your own, which has no release: say --template {pin.group}@{pin.minor}=VERSION"
        )
    if not amis.may_be(group.ami_type, pin.release):
        form = "1.53.0-1a2b3c4d" if amis.is_bottlerocket(group.ami_type) else f"{pin.minor}.4-20260115"
        raise CannotPlan(f"{named}: it is no release of {group.ami_type}: write it as {form}")
    minor = amis.minor_of(group.ami_type, pin.release)
    if minor is not None and minor != pin.minor:
        raise CannotPlan(f"{named}: this release is of {minor}: give one of {pin.minor}")


def _check_version(pin: Pin, group: Nodegroup) -> None:
    named = f"--template {_value(pin, pin.template_version)}"
    if not group.template:
        raise CannotPlan(f"{named}: node group {group.name} has no launch template: leave it out")
    # EKS tells of versions by their number alone, so nobody would know when it is there.
    if not (pin.template_version.isascii() and pin.template_version.isdecimal()):
        raise CannotPlan(f"{named}: give the number of a version")


def _value(pin: Pin, value: str) -> str:
    return f"{pin.group}@{pin.minor}={value}"


def _named(pin: Pin) -> str:
    if pin.release:
        return f"--release {_value(pin, pin.release)}"
    return f"--template {_value(pin, pin.template_version)}"
