"""What the agent tells of its own work."""

from collections.abc import Collection, Iterator, Mapping

from aliquot.metrics.exposition import Family, Kind, Sample, labels
from aliquot.node.advertise import Advertisement, Device
from aliquot.node.metrics.counts import Counts
from aliquot.node.metrics.holders import Holder

_STATES = ("free", "held", "unusable")


def agent_families(
    node_name: str,
    counts: Counts,
    advertisement: Advertisement,
    holders: Mapping[str, Collection[Holder]],
    ailing: Collection[str],
) -> Iterator[Family]:
    """`ailing`: ids of devices and GPUs that are not healthy."""
    node = ("hostname", node_name)
    allocations = {resource: counts.allocations[resource] for resource in advertisement.resources}
    yield _counter(
        node,
        "aliquot_allocations_total",
        "Containers that were given devices of the resource, since the agent started.",
        "resource",
        allocations | counts.allocations,
    )
    yield _counter(
        node,
        "aliquot_health_changes_total",
        "Devices and GPUs that fell ill, by reason, or recovered, since the agent started.",
        "reason",
        counts.health_changes,
    )
    yield _counter(
        node,
        "aliquot_reconfigurations_total",
        "Changes of MIG mode or slices that came to an end, since the agent started.",
        "outcome",
        counts.reconfigurations,
    )
    states = {
        resource: [_state(device, holders, ailing) for device in devices]
        for resource, devices in advertisement.resources.items()
    }
    yield Family(
        "aliquot_devices",
        Kind.GAUGE,
        "Devices that the node offers, a shared one counted once.",
        [
            Sample(labels(node, ("resource", resource), ("state", state)), found.count(state))
            for resource, found in states.items()
            for state in _STATES
        ],
    )
    yield counts.looks.family("aliquot_look_duration_seconds", "Looks at driver, kubelet and API.", node)


def _state(device: Device, holders: Mapping[str, Collection[Holder]], ailing: Collection[str]) -> str:
    if device.unusable or device.id in ailing or device.gpu_uuid in ailing:
        return "unusable"
    return "held" if device.id in holders else "free"


def _counter(node: tuple[str, str], name: str, text: str, label: str, values: Mapping[str, int]) -> Family:
    samples = [Sample(labels(node, (label, key)), value) for key, value in sorted(values.items())]
    return Family(name, Kind.COUNTER, text, samples)
