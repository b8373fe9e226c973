"""The annotation by which a scheduler tells a node agent which device a pod is to get.

Allocate never says which pod it is for, and kubelet would choose by itself. So the choice travels with the
Binding as a pod annotation; the agent reads it back when kubelet asks for its preference. Where a device has to be made
first, the annotation comes before the Binding, and names the node as well.

Annotations are copied along with manifests. So it names the pod that it was written for, and on another it is nothing: who
schedules after a restart, or leads after another, knows a pod's own from a copy.
"""

import msgspec

from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import Sharing

ASSIGNMENT_ANNOTATION = "aliquot.dev/assignment"


class AssignedDevice(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, frozen=True):
    """One device for one container: a whole GPU (`start` absent) or the MIG slice of `profile` at `start`; or shares of
    one."""

    container: str
    resource: str
    gpu: str
    """UUID of the board."""
    profile: str = ""
    start: int | None = None
    """First memory slot. The MIG UUID is not named: the slice may still have to be cut."""
    shares: int = 0
    """How many of the device's shares; 0: the device as a whole. Which ones does not matter."""
    sharing: Sharing = Sharing.NONE
    """Where the shares are still to be made: in which way, and how many in all."""
    replicas: int = 0


class Assignment(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True, frozen=True):
    devices: tuple[AssignedDevice, ...]
    pod_uid: str
    """Whose they are."""
    node: str = ""
    """Of a pod that is not bound yet: where its devices are being made for it."""


def encode(assignment: Assignment) -> str:
    return msgspec.json.encode(assignment).decode()


def assignment_on(pod: Pod) -> Assignment | None:
    """None where nothing is written. Raises ValueError where it cannot be read, or was written for another pod."""
    text = (pod.metadata.annotations or {}).get(ASSIGNMENT_ANNOTATION)
    if not text:
        return None
    assignment = decode(text)
    if assignment.pod_uid != pod.metadata.uid:
        raise ValueError("it was written for another pod, and copied with its manifest")
    return assignment


def decode(text: str) -> Assignment:
    """Raises msgspec.DecodeError or msgspec.ValidationError (both ValueError) on anything else than `encode` wrote."""
    return msgspec.json.decode(text, type=Assignment)


def most_devices(text: str) -> int:
    """The encoded assignment has at most so many. Not decoded: for those who look at all pods of a cluster."""
    return text.count('"gpu":')
