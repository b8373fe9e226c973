"""What a pod says that it is to get, where that is what it asks for.

Anybody who may write a pod may write the annotation. One that names the pod, and fits its containers, does no more than what a
scheduler could have chosen; any other counts as none.
"""

from collections import Counter
from collections.abc import Iterator

from aliquot.kube import quantity
from aliquot.kube.api.assignment import AssignedDevice, Assignment, assignment_on
from aliquot.kube.api.core import Container, Pod
from aliquot.partition.demand import could_be_made


def assigned(pod: Pod) -> Assignment | None:
    """None where nobody has assigned it anything. Raises ValueError where it cannot be read, or is for another pod."""
    assignment = assignment_on(pod)
    if assignment is None:
        return None
    asked = dict(_asked(pod))
    given = Counter[tuple[str, str]]()
    for device in assignment.devices:
        _check(device)
        given[device.container, device.resource] += device.shares or 1
    for place, count in given.items():
        if asked.get(place) != count:
            container, resource = place
            raise ValueError(f"{count} x {resource} for container {container!r}, which does not ask for that")
    # A pod that waits is bound when its devices are ready: all of them.
    left_out = sorted(place for place in asked.keys() - given.keys() if could_be_made(place[1]))
    if assignment.node and left_out:
        container, resource = left_out[0]
        raise ValueError(f"it leaves out {resource} of container {container!r}")
    return assignment


def _check(device: AssignedDevice) -> None:
    if device.shares < 0 or device.replicas < 0 or (device.start is not None and device.start < 0):
        raise ValueError("a start, a number of shares or of replicas is negative")
    if device.replicas and device.replicas < device.shares:
        raise ValueError(f"{device.shares} of {device.replicas} shares")
    if (device.start is None) is not (not device.profile):
        raise ValueError("a slice has a profile and a start, and a GPU has neither")


def _asked(pod: Pod) -> Iterator[tuple[tuple[str, str], int]]:
    for container in (*(pod.spec.init_containers or ()), *pod.spec.containers):
        for resource, count in _amounts(container).items():
            if count:
                yield (container.name, resource), count


def _amounts(container: Container) -> dict[str, int]:
    resources = {**(container.resources.limits or {}), **(container.resources.requests or {})}
    return {resource: quantity.whole(text) for resource, text in resources.items()}
