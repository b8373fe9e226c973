"""A device as kubelet sees it: each of its shares, made anew only when something of the device is new.

There may be hundreds of shares, and they are asked for two or three times in every look.
"""

from collections.abc import Collection
from dataclasses import dataclass

from aliquot.node.advertise import Device
from aliquot.node.device_plugin import Offer

LEAVING = "it is about to be offered otherwise"


@dataclass(frozen=True, slots=True)
class _Made:
    of: object
    offers: list[Offer]


class Offers:
    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    def forget(self) -> None:
        """The devices are others."""
        self._made = {}

    def of(
        self,
        device: Device,
        fault: str,
        *,
        closed: bool,
        files: tuple[str, ...],
        held_ids: Collection[str] | None = None,
    ) -> list[Offer]:
        """`held_ids`: of a device that is about to be offered otherwise, what is in use now; the rest is not given."""
        leaving = held_ids is not None
        held = frozenset(device.kubelet_ids).intersection(held_ids or ())
        made_of = (device, fault, closed, files, leaving, held)
        made = self._made.get(device.id)
        if made is None or made.of != made_of:
            faults = {
                kubelet_id: fault or (LEAVING if leaving and kubelet_id not in held else "")
                for kubelet_id in device.kubelet_ids
            }
            offers = [Offer(kubelet_id, device, why, closed, files) for kubelet_id, why in faults.items()]
            made = self._made[device.id] = _Made(made_of, offers)
        return made.offers
