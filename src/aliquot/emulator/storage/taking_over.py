"""A state that was written under another Kubernetes version, made this one's before anything is served.

As with a real cluster, a newer version reads what an older one stored: objects are stored anew in the version that is
preferred now. Fields that this version does not know are dropped. A state with objects that this version has no kind
for, or whose version is an alpha that is gone, is refused, and nothing of it is changed: but for objects that whoever
starts the server makes anew each time, which go.
"""

import asyncio
from collections import Counter
from collections.abc import Collection

import msgspec

from aliquot.emulator import discovery
from aliquot.emulator.registry import Registry, Served
from aliquot.emulator.schema import definitions
from aliquot.emulator.storage.conversion import from_stored
from aliquot.emulator.storage.persistence import StoreError
from aliquot.emulator.storage.records import Record
from aliquot.emulator.storage.store import Store
from aliquot.emulator.versions import ONCE_ALONE, SUPPORTED, Surface


class _Versioned(msgspec.Struct):
    apiVersion: str  # noqa: N815 - as on the wire


async def take_over(
    store: Store, registry: Registry, surface: Surface, made_anew: Collection[tuple[str, str]] = ()
) -> None:
    """`made_anew`: (storage, name). Raises StoreError for a state that this surface cannot serve."""
    written_by = f"1.{store.stamp}" if store.stamp else ONCE_ALONE
    moved, gone = [], []
    refused: Counter[tuple[str, str]] = Counter()
    for storage in store.resources():
        api_versions = discovery.stored_versions(storage)
        served = registry.stored_as(storage)
        alike = served is not None and _reads_alike(served, written_by, surface)
        if not api_versions or (alike and len(api_versions) == 1):
            continue
        for record in store.list(storage).records:
            api_version = msgspec.json.decode(record.body, type=_Versioned).apiVersion
            if served is None and (storage, record.name) in made_anew:
                gone.append(record)
            elif served is None or not discovery.readable(storage, api_version, surface.minor):
                refused[storage, api_version] += 1
            elif not alike or api_version != served.storage_api_version:
                moved.append((served, record))
    for (storage, api_version), count in sorted(refused.items()):
        raise StoreError(_refusal(store, storage, api_version, count, surface))

    async def rewrite(record: Record, obj: dict[str, object]) -> None:
        await store.replace(record, obj)

    changed = []
    for served, record in moved:
        was = record.decode()
        decoded, _ = served.schema.decode(from_stored(served, was))
        if decoded != was:
            changed.append(rewrite(record, decoded))
    await asyncio.gather(*changed, *(store.delete(record) for record in gone))
    store.set_stamp(surface.minor)


def _reads_alike(served: Served, written_by: str, surface: Surface) -> bool:
    """Whether objects that were stored in the same version of the API are the same under this surface."""
    if written_by == surface.version:
        return True
    if written_by not in SUPPORTED:
        return False
    before = Surface(written_by)
    key = served.schema.key
    return key in definitions.load(before).names and not definitions.forgets(before, surface, key)


def _refusal(store: Store, storage: str, api_version: str, count: int, surface: Surface) -> str:
    homes = ", ".join(discovery.homes(storage, api_version))
    objects = f"{count} {storage} of {api_version}"
    return (
        f"{store.path or 'the state'}: holds {objects}, which Kubernetes {surface.version} does not serve as it is "
        f"started; start {homes}, delete them there, or choose another --state"
    )
