"""How a configuration names devices: `all`, a number of them, or a list of indexes and UUIDs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aliquot.gpu.driver import Gpu

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_GPU_INDEX = re.compile(r"\d{1,4}", re.ASCII)
_MIG_INDEX = re.compile(r"\d{1,4}:\d{1,4}", re.ASCII)
_GPU_UUID = re.compile(rf"GPU-{_UUID}")
_MIG_UUID = re.compile(rf"MIG-{_UUID}")
_OLD_MIG_UUID = re.compile(rf"MIG-GPU-{_UUID}/\d{{1,4}}/\d{{1,4}}", re.ASCII)
_FORMS = (_GPU_INDEX, _MIG_INDEX, _GPU_UUID, _MIG_UUID, _OLD_MIG_UUID)


class BadReference(ValueError):
    """One line: what is wrong with it, and what would be right."""


@dataclass(frozen=True, slots=True)
class Named:
    """What one device answers to."""

    gpu: Gpu
    id: str
    """GPU or MIG UUID."""
    mig_index: int | None = None
    """Its number among the MIG devices of its GPU; None for a whole GPU."""
    gi_id: int | None = None
    ci_id: int | None = None

    @property
    def names(self) -> frozenset[str]:
        if self.mig_index is None:
            return frozenset({str(self.gpu.index), self.gpu.uuid})
        old = f"MIG-{self.gpu.uuid}/{self.gi_id}/{self.ci_id}"
        return frozenset({f"{self.gpu.index}:{self.mig_index}", self.id, old})


@dataclass(frozen=True, slots=True)
class References:
    """All devices of a resource, its first `count` ones, or those with one of the `names`."""

    count: int | None = None
    names: tuple[str, ...] = ()
    """A name of a whole GPU also means the MIG devices on it."""

    @property
    def is_all(self) -> bool:
        return self.count is None and not self.names

    @classmethod
    def parse(cls, value: str | int | Sequence[str | int] | None) -> "References":
        """Raises BadReference."""
        if value is None or value == "all":
            return cls()
        if isinstance(value, str):
            raise BadReference(f"devices is 'all', a number or a list, not '{value}'")
        if isinstance(value, int):
            if value < 1:
                raise BadReference(f"{value} devices: give a number above zero, or 'all'")
            return cls(count=value)
        if not value:
            raise BadReference("no devices are given: give 'all', a number or a list")
        names = tuple(_name(one) for one in value)
        for number, name in enumerate(names):
            if name in names[:number]:
                raise BadReference(f"device {name} is given twice")
        return cls(names=names)

    def among(self, devices: Sequence[Named]) -> tuple[str, ...]:
        """Ids of those that are meant; `devices` are of one resource, in order."""
        if self.is_all:
            return tuple(device.id for device in devices)
        if self.count is not None:
            return tuple(device.id for device in devices[: self.count])
        return tuple(device.id for device in devices if self._names(device))

    def absent(self, gpus: Iterable[Gpu]) -> tuple[str, ...]:
        """Names of GPUs that are not among `gpus`. A slice that is not there may still come."""
        there = {name for gpu in gpus for name in (str(gpu.index), gpu.uuid)}
        whole = (name for name in self.names if _GPU_INDEX.fullmatch(name) or _GPU_UUID.fullmatch(name))
        return tuple(name for name in whole if name not in there)

    def _names(self, device: Named) -> bool:
        gpu = {str(device.gpu.index), device.gpu.uuid}
        return any(name in device.names or name in gpu for name in self.names)


def _name(one: str | int) -> str:
    if isinstance(one, int):
        if one < 0:
            raise BadReference(f"GPU {one}: indexes begin at 0")
        return str(one)
    if any(form.fullmatch(one) for form in _FORMS):
        return one
    raise BadReference(
        f"'{one}' names no device: give an index (0), a MIG index (0:1), a GPU-UUID or a MIG-UUID"
    )
