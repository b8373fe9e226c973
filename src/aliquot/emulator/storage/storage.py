"""Objects by kind: the store, with the refusals of Kubernetes, the forms of versions, and CRDs followed up.

Handlers work on objects in the form of the version that they serve; what is stored is the storage version's form.
Everything between a `find` and the write that follows it must happen without an await: then nobody else can have
changed the object in between. Who had to wait for something asks `is_latest` before the write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.emulator import statuses
from aliquot.emulator.kinds import custom_resources
from aliquot.emulator.objects import Json, is_terminating, metadata, with_metadata
from aliquot.emulator.quota import Ledger
from aliquot.emulator.registry import CRDS, Registry, Served
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.conversion import from_stored, to_stored
from aliquot.emulator.storage.persistence import WriteRefused
from aliquot.emulator.storage.records import Record
from aliquot.emulator.storage.store import AlreadyStored, Changed, Store


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in `served`'s form, and where it is stored. `record` is None for what a dry run only imagined."""

    served: Served
    obj: Json
    record: Record | None

    @property
    def name(self) -> str:
        return str(metadata(self.obj).get("name", ""))


class Storage:
    def __init__(self, store: Store, registry: Registry, *, clock: Clock) -> None:
        self.store = store
        self.registry = registry
        self._clock = clock
        self._ledger = Ledger(store)
        registry.refresh(self.all(CRDS))

    # ---- looking (admission.Look) ------------------------------------------------------------------------

    def get(self, storage: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        record = self.store.latest(storage, namespace, name)
        return self.store.view(record) if record is not None else None

    def all(self, storage: str, namespace: str | None = None) -> Sequence[Mapping[str, Any]]:
        return [self.store.view(record) for record in self.store.list(storage, namespace).records]

    def used(self, quota: Mapping[str, Any]) -> Mapping[str, str]:
        return self._ledger.used(quota)

    def changed(self, storage: str) -> int:
        return self.store.changed(storage)

    # ---- objects -----------------------------------------------------------------------------------------

    def find(self, served: Served, namespace: str, name: str) -> Stored | None:
        """As the next writer sees it; the dict is the caller's."""
        record = self.store.latest(served.storage, served.namespace(namespace), name)
        return self.of(served, record) if record is not None else None

    def of(self, served: Served, record: Record) -> Stored:
        return Stored(served, from_stored(served, record.decode()), record)

    def must_find(self, served: Served, namespace: str, name: str) -> Stored:
        """Raises StatusError 404."""
        found = self.find(served, namespace, name)
        if found is None:
            raise statuses.not_found(served.resource, name)
        return found

    def is_latest(self, found: Stored) -> bool:
        """Whether it is still as it was found."""
        record = found.record
        assert record is not None
        latest = self.store.latest(record.resource, record.namespace, record.name)
        return latest is not None and latest.revision == record.revision

    def is_as_stored(self, found: Stored) -> bool:
        """Whether what is stored would be the same after a write of what was found.

        It would not for a custom object of an older storage version or schema: that is how such are migrated.
        """
        if found.record is None or found.served.crd is None or found.served.native:
            return True
        return to_stored(found.served, found.obj) == found.record.decode()

    async def create(self, served: Served, obj: Json) -> Stored:
        """Raises StatusError."""
        namespace, name = metadata(obj).get("namespace", ""), metadata(obj)["name"]
        try:
            record = await self.store.create(
                served.storage, served.namespace(namespace), name, to_stored(served, obj)
            )
        except AlreadyStored:
            raise statuses.already_exists(served.resource, name) from None
        except WriteRefused as refusal:
            raise _refused(refusal) from refusal
        self._follow(served)
        return self._written(served, obj, record)

    async def replace(self, old: Stored, obj: Json) -> Stored:
        """Raises StatusError."""
        assert old.record is not None
        try:
            record = await self.store.replace(old.record, to_stored(old.served, obj))
        except Changed:
            raise statuses.conflict(old.served.resource, old.name) from None
        except WriteRefused as refusal:
            raise _refused(refusal) from refusal
        self._follow(old.served)
        return self._written(old.served, obj, record)

    async def remove(self, old: Stored, obj: Json | None = None) -> Stored:
        """`obj` is the last state, if that is not `old`'s. Raises StatusError."""
        assert old.record is not None
        last = old.obj if obj is None else obj
        try:
            record = await self.store.delete(old.record, to_stored(old.served, last))
        except Changed:
            raise statuses.conflict(old.served.resource, old.name) from None
        except WriteRefused as refusal:
            raise _refused(refusal) from refusal
        self._follow(old.served)
        if old.served.crd is not None:
            await self._end_crd(metadata(old.served.crd)["name"])
        return self._written(old.served, last, record)

    def _written(self, served: Served, obj: Json, record: Record) -> Stored:
        return Stored(served, with_metadata(obj, resourceVersion=str(record.revision)), record)

    # ---- custom resource definitions -----------------------------------------------------------------------

    def _follow(self, served: Served) -> None:
        if served.storage == CRDS:
            self.registry.refresh(self.all(CRDS))

    async def clear_crd(self, crd: Mapping[str, Any]) -> None:
        """Deletes every object of a CRD that is to end; those with finalizers go later, and it with the last."""
        served = self._served_of(crd)
        if served is not None:
            for record in self.store.list(served.storage).records:
                found = self.find(served, record.namespace, record.name)
                if found is None or is_terminating(found.obj):
                    continue
                if metadata(found.obj).get("finalizers"):
                    await self.replace(found, marked_deleted(found.obj, self._clock.now()))
                else:
                    await self.remove(found)
        await self._end_crd(metadata(crd)["name"])

    async def resume(self) -> None:
        """Goes on with the CRDs whose end a stop of the server interrupted."""
        for crd in self.all(CRDS):
            if custom_resources.is_terminating(crd):
                await self.clear_crd(crd)

    async def _end_crd(self, name: str) -> None:
        """Lets a terminating CRD go when nothing is left of it."""
        crds = self.registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        found = self.find(crds, "", name) if crds is not None else None
        if found is None or not is_terminating(found.obj):
            return
        storage = f"{found.obj['spec']['names']['plural']}.{found.obj['spec']['group']}"
        finalizers = metadata(found.obj).get("finalizers") or []
        if self.store.count(storage) or custom_resources.CLEANUP not in finalizers:
            return
        rest = [one for one in finalizers if one != custom_resources.CLEANUP]
        cleared = with_metadata(found.obj, finalizers=rest or None)
        if rest:
            await self.replace(found, cleared)
        else:
            await self.remove(found, cleared)
            self.store.end_watches(storage)
            await self._pass_on_names(found)

    async def _pass_on_names(self, gone: Stored) -> None:
        """Those that wanted a name of a definition that is gone may have it now."""
        group = gone.obj["spec"]["group"]
        for crd in [one for one in self.all(CRDS) if custom_resources.waits_for_names(one, group)]:
            waiting = self.find(gone.served, "", metadata(crd)["name"])
            if waiting is not None and custom_resources.waits_for_names(waiting.obj, group):
                judged = custom_resources.judge(waiting.obj, self.all(CRDS), self._clock.now())
                if judged != waiting.obj:
                    await self.replace(waiting, judged)

    def _served_of(self, crd: Mapping[str, Any]) -> Served | None:
        spec = crd["spec"]
        found = (
            self.registry.find(spec["group"], version["name"], spec["names"]["plural"])
            for version in spec["versions"]
        )
        return next((served for served in found if served is not None), None)


def marked_deleted(obj: Json, now: float, grace_s: int = 0) -> Json:
    """`obj` on its way out, with a deletion time that lies `grace_s` ahead."""
    generation = metadata(obj).get("generation")
    return with_metadata(
        obj,
        deletionTimestamp=rfc3339(now + grace_s),
        deletionGracePeriodSeconds=grace_s,
        generation=generation + 1 if generation else None,
    )


def _refused(refusal: WriteRefused) -> StatusError:
    return statuses.unavailable(f"the state cannot be written: {refusal}")
