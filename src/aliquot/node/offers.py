"""A device as kubelet sees it: each of its shares, made anew only when something of the device is new.

There may be hundreds of shares, and they are asked for two or three times in every look.
"""

from dataclasses import dataclass

from aliquot.node.advertise import Device
from aliquot.node.device_plugin import Offer


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
    ) -> list[Offer]:
        made_of = (device, fault, closed, files)
        made = self._made.get(device.id)
        if made is None or made.of != made_of:
            offers = [Offer(kubelet_id, device, fault, closed, files) for kubelet_id in device.kubelet_ids]
            made = self._made[device.id] = _Made(made_of, offers)
        return made.offers
