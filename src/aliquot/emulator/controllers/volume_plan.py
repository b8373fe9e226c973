"""What becomes of a volume: free, bound, released, and then kept or taken away. Pure."""

from dataclasses import dataclass
from typing import TypeAlias

from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.kinds import storage_classes
from aliquot.kube.api.storage import PROVISIONED_BY, Claim, Volume


@dataclass(frozen=True, slots=True)
class Phase:
    phase: str
    message: str = ""
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Its claim is gone, and nobody wants to keep it."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All is as it should be."""


Plan: TypeAlias = Phase | Remove | Rest


def plan(volume: Volume, claim: Claim | None) -> Plan:
    """`claim` is the one of the name that the volume refers to."""
    reference = volume.spec.claim_ref
    if reference is None or not reference.uid:
        return _phase(volume, "Available")
    if claim is not None and claim.metadata.uid == reference.uid:
        if claim.spec.volume_name == volume.metadata.name:
            return _phase(volume, "Bound")
        return Rest()
    if volume.status.phase == "Failed":
        return Rest()
    if volume.status.phase != "Released":
        return _phase(volume, "Released")
    return _reclaim(volume)


def _phase(volume: Volume, phase: str) -> Plan:
    return Rest() if volume.status.phase == phase else Phase(phase)


def _reclaim(volume: Volume) -> Plan:
    if volume.metadata.deletion_timestamp is not None:
        return Rest()
    name = volume.metadata.name
    match volume.spec.persistent_volume_reclaim_policy:
        case "Recycle":
            text = "No recycler plugin found for the volume!"
            return Phase("Failed", text, Notice(True, "VolumeFailedRecycle", text))
        case "Delete":
            provisioner = (volume.metadata.annotations or {}).get(PROVISIONED_BY)
            if provisioner == storage_classes.SIMULATED:
                return Remove()
            if provisioner is None and volume.spec.csi is None:
                text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
                return Phase("Failed", text, Notice(True, "VolumeFailedDelete", text))
    return Rest()
