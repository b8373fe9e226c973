"""The configuration file, version v1: named configurations, each a list of entries for some of the GPUs.

    version: v1
    mig-configs:
      all-balanced:
      - devices: all
        mig-enabled: true
        mig-devices: {1g.10gb: 2, 2g.20gb: 1, 3g.40gb: 1}

What mig-parted takes is taken, and what it refuses is refused, in one line with the place. One field is our own:
`mig-instances`, in place of `mig-devices`, says where slices start and how they are divided. mig-parted refuses it as
an unexpected field, which is better than if it ignored it.

    mig-instances:
    - {profile: 3g.40gb, start: 4, compute: [1c.3g.40gb, 2c.3g.40gb]}
    - {profile: 2g.20gb}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from aliquot import document
from aliquot.document import Document
from aliquot.gpu import boards
from aliquot.gpu.profiles import BadProfileName, ProfileName

VERSION = "v1"
_ALL = "all"


class NoSuchConfig(Exception):
    """One line, with the names that there are."""


@dataclass(frozen=True, slots=True)
class ExplicitInstance:
    """`start` None: wherever it fits. `compute`: names of the parts; empty: one compute instance fills it."""

    profile: str
    start: int | None = None
    compute: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """`devices` None: all GPUs that the filters match. `counts`: profile name -> how many."""

    mig_enabled: bool
    devices: tuple[int, ...] | None = None
    filters: tuple[str, ...] = ()
    """As written; none matches every GPU."""
    counts: Mapping[str, int] = field(default_factory=dict)
    instances: tuple[ExplicitInstance, ...] | None = None


@dataclass(frozen=True, slots=True)
class MigConfigFile:
    configs: Mapping[str, tuple[Entry, ...]]

    def choose(self, name: str | None) -> tuple[Entry, ...]:
        """A file of one configuration needs no name. Raises NoSuchConfig."""
        if name is None and len(self.configs) == 1:
            return next(iter(self.configs.values()))
        if name is not None and name in self.configs:
            return self.configs[name]
        names = ", ".join(self.configs) or "none"
        if name is None:
            raise NoSuchConfig(f"which configuration? There are {names}")
        near = document.nearest(name, self.configs) or f"; there are {names}"
        raise NoSuchConfig(f"there is no configuration '{name}'{near}")


class _Instance(msgspec.Struct, rename="kebab"):
    profile: str
    start: int | None = None
    compute: list[str] = []


class _Entry(msgspec.Struct, rename="kebab"):
    devices: str | list[int]
    mig_enabled: bool
    device_filter: str | list[str] | None = None
    mig_devices: dict[str, int] | None = None
    mig_instances: list[_Instance] | None = None


class _File(msgspec.Struct, rename="kebab"):
    version: str
    mig_configs: dict[str, list[_Entry]] = {}


def load(path: Path) -> MigConfigFile:
    """Raises DocumentError."""
    return parse(document.read(path), source=str(path))


def parse(text: str, *, source: str) -> MigConfigFile:
    """An empty text has no configurations. Raises DocumentError."""
    documents = document.parse_all(text, source=source)
    if not documents:
        return MigConfigFile({})
    parsed = document.parse(text, source=source)
    file = parsed.into(_File)
    if file.version != VERSION:
        raise parsed.error(
            ("version",), f"version '{file.version}' is not '{VERSION}', the only one there is"
        )
    if not file.mig_configs and isinstance(parsed.value, dict) and "mig-configs" in parsed.value:
        raise parsed.error(("mig-configs",), "'mig-configs' has no configuration: give one, or leave it out")
    configs = {}
    for name, entries in file.mig_configs.items():
        path = ("mig-configs", name)
        if not entries:
            raise parsed.error(path, f"configuration '{name}' has no entry")
        configs[name] = tuple(_entry(parsed, (*path, n), entry) for n, entry in enumerate(entries))
    return MigConfigFile(configs)


def _entry(parsed: Document, path: tuple[str | int, ...], entry: _Entry) -> Entry:
    if isinstance(entry.devices, str) and entry.devices != _ALL:
        raise parsed.error(
            (*path, "devices"), f"devices is '{_ALL}' or a list of indexes, not '{entry.devices}'"
        )
    devices = None if isinstance(entry.devices, str) else tuple(entry.devices)
    for index, device in enumerate(devices or ()):
        if device < 0:
            raise parsed.error((*path, "devices", index), f"GPU {device}: indexes begin at 0")
        if device in (devices or ())[:index]:
            raise parsed.error((*path, "devices", index), f"GPU {device} is given twice")
    filters = [entry.device_filter] if isinstance(entry.device_filter, str) else entry.device_filter or []
    if entry.mig_enabled and entry.mig_devices is None and entry.mig_instances is None:
        raise parsed.error(path, "mig-enabled is true, and there is no mig-devices: give {} for no slices")
    if not entry.mig_enabled and (entry.mig_devices or entry.mig_instances):
        raise parsed.error(path, "slices are given, and mig-enabled is false")
    if entry.mig_devices is not None and entry.mig_instances is not None:
        raise parsed.error(path, "give mig-devices or mig-instances, not both")
    return Entry(
        entry.mig_enabled,
        devices,
        tuple(one for one in filters if one),
        _counts(parsed, (*path, "mig-devices"), entry.mig_devices or {}),
        _instances(parsed, (*path, "mig-instances"), entry.mig_instances),
    )


def _counts(parsed: Document, path: tuple[str | int, ...], counts: Mapping[str, int]) -> Mapping[str, int]:
    for name, count in counts.items():
        _check_name(parsed, (*path, name), name)
        if count < 0:
            raise parsed.error((*path, name), f"{count} of {name}: there cannot be fewer than none")
    if counts and not any(counts.values()):
        raise parsed.error(path, "all counts are zero: give {} for no slices")
    return dict(counts)


def _instances(
    parsed: Document, path: tuple[str | int, ...], instances: Sequence[_Instance] | None
) -> tuple[ExplicitInstance, ...] | None:
    if instances is None:
        return None
    found = []
    for number, one in enumerate(instances):
        whole = _check_name(parsed, (*path, number, "profile"), one.profile)
        if whole.compute_slices != whole.gpu_slices:
            message = f"'{one.profile}' is a part: name the whole here, and its parts under 'compute'"
            raise parsed.error((*path, number, "profile"), message)
        for position, part in enumerate(one.compute):
            part_path = (*path, number, "compute", position)
            name = _check_name(parsed, part_path, part)
            if (name.gpu_slices, name.memory_gb, name.attributes) != (
                whole.gpu_slices,
                whole.memory_gb,
                whole.attributes,
            ):
                raise parsed.error(part_path, f"'{part}' is no part of {one.profile}")
        found.append(ExplicitInstance(one.profile, one.start, tuple(one.compute)))
    return tuple(found)


def _check_name(parsed: Document, path: tuple[str | int, ...], name: str) -> ProfileName:
    try:
        return ProfileName.parse(name)
    except BadProfileName as error:
        near = document.nearest(name, _known_names())
        raise parsed.error(path, f"{error}{near}") from None


def _known_names() -> set[str]:
    return {profile.name for board in boards.boards() if board.mig for profile in board.mig.profiles}


# --- writing ---


def spell(file: MigConfigFile) -> str:
    """As YAML, in mig-parted's order of fields."""
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        _Flow, lambda dumper, items: dumper.represent_sequence(_SEQUENCE, items, flow_style=True)
    )
    return yaml.dump(plain(file, flow=_Flow), Dumper=Dumper, sort_keys=False)


_SEQUENCE = "tag:yaml.org,2002:seq"


class _Flow(list[Any]):
    """On one line."""


def plain(file: MigConfigFile, flow: type[list[Any]] = list) -> dict[str, Any]:
    """As plain data; short lists are `flow`s."""
    configs = {name: [_plain(entry, flow) for entry in entries] for name, entries in file.configs.items()}
    return {"version": VERSION} | ({"mig-configs": configs} if configs else {})


def _plain(entry: Entry, flow: type[list[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if entry.filters:
        found["device-filter"] = entry.filters[0] if len(entry.filters) == 1 else flow(entry.filters)
    found["devices"] = _ALL if entry.devices is None else flow(entry.devices)
    found["mig-enabled"] = entry.mig_enabled
    if entry.instances is not None:
        found["mig-instances"] = [
            {"profile": one.profile}
            | ({"start": one.start} if one.start is not None else {})
            | ({"compute": flow(one.compute)} if one.compute else {})
            for one in entry.instances
        ]
    else:
        found["mig-devices"] = dict(entry.counts)
    return found
