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

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from aliquot import document
from aliquot.document import Document
from aliquot.gpu import boards
from aliquot.gpu.mig_config.device_filter import BadDeviceFilter, DeviceFilter
from aliquot.gpu.profiles import BadProfileName, ProfileName

VERSION = "v1"
_ALL = "all"
_Place = tuple[str | int, ...]


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
    mig_enabled: bool
    devices: tuple[int, ...] | None = None
    """Indexes; None: all GPUs that the filters match."""
    filters: tuple[DeviceFilter, ...] = ()
    """None matches every GPU."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How many by profile name, in the one spelling that `str(ProfileName)` gives."""
    instances: tuple[ExplicitInstance, ...] | None = None
    """In place of `counts`."""


@dataclass(frozen=True, slots=True)
class MigConfigFile:
    configs: Mapping[str, tuple[Entry, ...]]

    def choose(self, name: str | None) -> tuple[Entry, ...]:
        """A file of one configuration needs no name. Raises NoSuchConfig."""
        if name is None and len(self.configs) == 1:
            return next(iter(self.configs.values()))
        if name is not None and name in self.configs:
            return self.configs[name]
        if not self.configs:
            raise NoSuchConfig("the file has no configurations")
        names = ", ".join(self.configs)
        if name is None:
            raise NoSuchConfig(f"which configuration? There are {names}")
        near = _unquoted(name, self.configs) or document.nearest(name, self.configs)
        raise NoSuchConfig(f"there is no configuration '{name}'; there are {names}{near}")


def _unquoted(name: str, configs: Collection[str]) -> str:
    """A key like `on` is no text in YAML, but a truth value: mig-parted, too, reads it as `true`."""
    from aliquot.document.from_yaml import TRUTH_VALUES

    if str(TRUTH_VALUES.get(name, "")).lower() not in configs:
        return ""
    return f' ({name} without quotes is a truth value of YAML: write it as "{name}")'


_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Instance(msgspec.Struct, rename="kebab"):
    profile: str
    start: _Count | None = None
    compute: list[str] | None = None


class _Entry(msgspec.Struct, rename="kebab"):
    devices: str | list[int]
    mig_enabled: bool
    # Numbers are no filters, and are taken in so that the complaint can say what they lack: quotes.
    device_filter: str | int | list[str | int] | None = None
    mig_devices: dict[str, _Count] | None = None
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
    _check_version(parsed)
    file = parsed.into(_File)
    if not file.mig_configs and isinstance(parsed.value, dict) and "mig-configs" in parsed.value:
        raise parsed.error(("mig-configs",), "'mig-configs' has no configuration: give one, or leave it out")
    configs = {}
    for name, entries in file.mig_configs.items():
        path = ("mig-configs", name)
        if not entries:
            raise parsed.error(path, f"configuration '{name}' has no entry")
        configs[name] = tuple(_entry(parsed, (*path, n), entry) for n, entry in enumerate(entries))
    return MigConfigFile(configs)


def _check_version(parsed: Document) -> None:
    """Before all else: another version may have other fields."""
    version = parsed.value.get("version") if isinstance(parsed.value, dict) else None
    if isinstance(version, str) and version != VERSION:
        raise parsed.error(("version",), f"version '{version}' is not '{VERSION}', the only one there is")


def _entry(parsed: Document, path: _Place, entry: _Entry) -> Entry:
    slices = entry.mig_devices or entry.mig_instances
    if entry.mig_enabled and entry.mig_devices is None and entry.mig_instances is None:
        raise parsed.error(path, "mig-enabled is true, and there is no mig-devices: give {} for no slices")
    if not entry.mig_enabled and slices:
        raise parsed.error(path, "slices are given, and mig-enabled is false: set it to true, or remove them")
    if entry.mig_devices is not None and entry.mig_instances is not None:
        raise parsed.error((*path, "mig-instances"), "give mig-devices or mig-instances, not both")
    return Entry(
        entry.mig_enabled,
        _devices(parsed, (*path, "devices"), entry.devices),
        _filters(parsed, (*path, "device-filter"), entry.device_filter),
        _counts(parsed, (*path, "mig-devices"), entry.mig_devices or {}),
        _instances(parsed, (*path, "mig-instances"), entry.mig_instances) if entry.mig_enabled else None,
    )


def _devices(parsed: Document, path: _Place, devices: str | list[int]) -> tuple[int, ...] | None:
    if isinstance(devices, str):
        if devices != _ALL:
            raise parsed.error(path, f"devices is '{_ALL}' or a list of indexes, not '{devices}'")
        return None
    for number, device in enumerate(devices):
        if device < 0:
            raise parsed.error((*path, number), f"GPU {device}: indexes begin at 0")
        if device in devices[:number]:
            raise parsed.error((*path, number), f"GPU {device} is given twice")
    return tuple(devices)


def _filters(
    parsed: Document, path: _Place, filters: str | int | list[str | int] | None
) -> tuple[DeviceFilter, ...]:
    if filters is None or filters == "":  # mig-parted's own way to say that there is none
        return ()
    several = isinstance(filters, list)
    found = []
    for number, text in enumerate(filters if isinstance(filters, list) else [filters]):
        place = (*path, number) if several else path
        if isinstance(text, int):
            raise parsed.error(place, f'a device filter needs quotes, else it is a number: "0x{text:08X}"')
        try:
            found.append(DeviceFilter.parse(text))
        except BadDeviceFilter as error:
            raise parsed.error(place, str(error)) from None
    return tuple(found)


def _counts(parsed: Document, path: _Place, counts: Mapping[str, int]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    spellings: dict[str, str] = {}
    for text, count in counts.items():
        name = str(_check_name(parsed, (*path, text), text))
        if name in found:
            message = f"'{text}' and '{spellings[name]}' are the same profile: keep one of them"
            raise parsed.error((*path, text), message)
        found[name], spellings[name] = count, text
    if counts and not any(counts.values()):
        raise parsed.error(path, "all counts are zero: give {} for no slices")
    return found


def _instances(
    parsed: Document, path: _Place, instances: Sequence[_Instance] | None
) -> tuple[ExplicitInstance, ...] | None:
    if instances is None:
        return None
    starts = [one.start for one in instances]
    found = []
    for number, one in enumerate(instances):
        place = (*path, number)
        whole = _check_name(parsed, (*place, "profile"), one.profile)
        if whole.compute_slices != whole.gpu_slices:
            message = f"'{one.profile}' is a part: name the whole here, and its parts under 'compute'"
            raise parsed.error((*place, "profile"), message)
        if one.start is not None and one.start in starts[:number]:
            raise parsed.error((*place, "start"), f"two slices start at {one.start}")
        compute = _parts(parsed, (*place, "compute"), whole, one.compute)
        found.append(ExplicitInstance(str(whole), one.start, compute))
    return tuple(found)


def _parts(
    parsed: Document, path: _Place, whole: ProfileName, compute: Sequence[str] | None
) -> tuple[str, ...]:
    if compute is None:
        return ()
    if not compute:
        raise parsed.error(path, f"no parts are given: leave it out for one that fills {whole}")
    parts = [_check_name(parsed, (*path, number), text) for number, text in enumerate(compute)]
    for number, part in enumerate(parts):
        if replace(part, compute_slices=whole.compute_slices) != whole:
            raise parsed.error((*path, number), f"'{compute[number]}' is no part of {whole}")
    total = sum(part.compute_slices for part in parts)
    if total > whole.compute_slices:
        raise parsed.error(
            path, f"the parts have {total} slices together, and {whole} has {whole.gpu_slices}"
        )
    return tuple(map(str, parts))


def _check_name(parsed: Document, path: _Place, name: str) -> ProfileName:
    try:
        return ProfileName.parse(name)
    except BadProfileName as error:
        near = document.nearest(name, _known_names())
        raise parsed.error(path, f"{error}{near}") from None


@cache
def _known_names() -> frozenset[str]:
    return frozenset(profile.name for board in boards.boards() if board.mig for profile in board.mig.profiles)


# --- writing ---


def spell(file: MigConfigFile) -> str:
    """As YAML, as mig-parted prints it: its order of fields and names, lists of devices on one line."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Any, value: str) -> Any:
        # Double quotes, where a plain word would be read as a number or a truth.
        plain_tag = dumper.resolve(yaml.ScalarNode, value, (True, False))
        return dumper.represent_scalar(_TEXT, value, style=None if plain_tag == _TEXT else '"')

    def flow(dumper: Any, items: list[Any]) -> Any:
        return dumper.represent_sequence(_SEQUENCE, items, flow_style=True)

    Dumper.add_representer(str, text)
    Dumper.add_representer(_Flow, flow)
    return yaml.dump(plain(file, flow=_Flow), Dumper=Dumper, sort_keys=False, allow_unicode=True)


_TEXT = "tag:yaml.org,2002:str"
_SEQUENCE = "tag:yaml.org,2002:seq"


class _Flow(list[Any]):
    """On one line."""


def plain(file: MigConfigFile, flow: type[list[Any]] = list) -> dict[str, Any]:
    """As plain data; short lists are `flow`s."""
    names = sorted(file.configs, key=_by_numbers)
    configs = {name: [_plain(entry, flow) for entry in file.configs[name]] for name in names}
    return {"version": VERSION} | ({"mig-configs": configs} if configs else {})


def _plain(entry: Entry, flow: type[list[Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if entry.filters:
        filters = [str(one) for one in entry.filters]
        found["device-filter"] = filters[0] if len(filters) == 1 else flow(filters)
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
        found["mig-devices"] = {name: entry.counts[name] for name in sorted(entry.counts, key=_by_numbers)}
    return found


def _by_numbers(name: str) -> list[tuple[int, str]]:
    """all-1g.5gb before all-1g.10gb."""
    return [(len(part) if index % 2 else 0, part) for index, part in enumerate(_DIGITS.split(name))]


_DIGITS = re.compile(r"([0-9]+)")
