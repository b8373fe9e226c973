"""The end of objects: grace periods, finalizers, propagation, preconditions, and whole collections.

A delete either removes the object or marks it with a deletion time and leaves the rest to those who hold it:
finalizers, the kubelet of a bound pod, a namespace's content. The last of them to let go removes it (writing).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from aliquot.clock import Clock, parse_rfc3339
from aliquot.emulator import statuses
from aliquot.emulator.admission import Admitted, Chain, Operation
from aliquot.emulator.http.request import Query
from aliquot.emulator.kinds import custom_resources
from aliquot.emulator.kinds.deleted import shown_when_gone
from aliquot.emulator.objects import FOREGROUND, ORPHAN, Json, is_terminating, metadata, with_metadata
from aliquot.emulator.registry import CRDS, NAMESPACES, PODS
from aliquot.emulator.schema.errors import FieldError, invalid, not_supported
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.storage.storage import Storage, Stored, marked_deleted
from aliquot.emulator.verbs.bodies import read_body, typed
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.reading import Selection
from aliquot.emulator.verbs.writing import is_over

_DEFAULT_GRACE_S = 30
_TRIES = 5
"""As often is a delete begun anew whose object changed while admission was waited for."""
_POLICIES = ("Foreground", "Background", "Orphan")

Deleted: TypeAlias = Stored | dict[str, Any]
"""What a delete answers: the object on its way out or as it went, or the Status of one that is gone."""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    grace_s: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    """Preconditions; None asks for nothing, where an empty one never holds."""
    propagation: str = ""
    dry_run: bool = False

    def body(self) -> Json:
        """As an object of the API."""
        preconditions = {"uid": self.uid, "resourceVersion": self.resource_version}
        given: Json = {
            "gracePeriodSeconds": self.grace_s,
            "preconditions": {key: value for key, value in preconditions.items() if value is not None}
            or None,
            "propagationPolicy": self.propagation or None,
            "dryRun": ["All"] if self.dry_run else None,
        }
        found = {key: value for key, value in given.items() if value is not None}
        return {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **found}


def read_options(call: Call, schema: Schema) -> DeleteOptions:
    """From the body, and only where there is none from the query. Raises StatusError.

    `schema` is that of DeleteOptions.
    """
    if not call.body:
        return judge_options(_in_query(call.request.query))
    return judge_options(typed(read_body(call.content_type, call.body).value, schema))


def _in_query(query: Query) -> Json:
    """The options of a query as the body would have them. Raises StatusError 400."""
    given: Json = {"gracePeriodSeconds": query.number("gracePeriodSeconds"), "dryRun": query.texts("dryRun")}
    if query.has("propagationPolicy"):
        given["propagationPolicy"] = query.text("propagationPolicy")
    if query.has("orphanDependents"):
        given["orphanDependents"] = query.flag("orphanDependents")
    return given


def judge_options(given: Mapping[str, Any]) -> DeleteOptions:
    """What an object of the kind DeleteOptions says. Raises StatusError 422."""
    if problems := list(_problems(given)):
        raise statuses.invalid_options("DeleteOptions", problems)
    preconditions = given.get("preconditions") or {}
    grace = given.get("gracePeriodSeconds")
    propagation, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    return DeleteOptions(
        # Less than nothing is taken as a second.
        1 if grace is not None and grace < 0 else grace,
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        propagation or "",
        bool(given.get("dryRun")),
    )


def _problems(given: Mapping[str, Any]) -> Iterator[FieldError]:
    propagation, dry_run = given.get("propagationPolicy"), given.get("dryRun") or ()
    if propagation is not None and given.get("orphanDependents") is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        yield invalid("propagationPolicy", propagation, text)
    if propagation is not None and propagation not in _POLICIES:
        yield not_supported("propagationPolicy", propagation, (*_POLICIES, "nil"))
    if any(value != "All" for value in dry_run):
        yield not_supported("dryRun", list(dry_run), ("All",))


class Deleter:
    def __init__(self, storage: Storage, chain: Chain, *, clock: Clock, rng: Random) -> None:
        self._storage = storage
        self._chain = chain
        self._clock = clock
        self._rng = rng

    async def delete(self, call: Call, options: DeleteOptions) -> Deleted:
        """Raises StatusError."""
        found = self._storage.must_find(call.served, call.namespace, call.name)
        deleted = await self._delete(call, found, options, call.name)
        if deleted is None:
            raise statuses.not_found(call.served.resource, call.name)
        return deleted

    async def evict(self, call: Call, options: DeleteOptions) -> Deleted:
        """A delete that has passed admission as something else. Raises StatusError."""
        found = self._storage.must_find(call.served, call.namespace, call.name)
        self._check(call, found, options)
        return await self._end(call, found, options)

    async def delete_collection(
        self, call: Call, options: DeleteOptions, selection: Selection
    ) -> Sequence[Stored]:
        """Each object that matches, one after the other; answers them as they were. Raises StatusError."""
        gone = []
        for record in self._storage.store.list(call.served.storage, selection.namespace).records:
            if not selection.matches(self._storage.store, record):
                continue
            found = self._storage.find(call.served, record.namespace, record.name)
            if found is None:
                continue
            gone.append(found)
            await self._delete(call, found, options, "")
        return gone

    async def _delete(
        self, call: Call, found: Stored, options: DeleteOptions, asked_name: str
    ) -> Deleted | None:
        """None when it went by itself while admission was waited for."""
        namespace = str(metadata(found.obj).get("namespace", ""))
        now: Stored | None = found
        for _ in range(_TRIES):
            if now is None:
                return None
            self._check(call, now, options)
            with ExitStack() as until_written:
                asked = Admitted(
                    call,
                    Operation.DELETE,
                    asked_name,
                    now.obj,
                    self._storage,
                    self._rng,
                    dry_run=options.dry_run,
                    options=options.body(),
                    until_written=until_written,
                )
                await self._chain.admit_delete(asked)
                if self._storage.is_latest(now):
                    return await self._end(call, now, options)
            now = self._storage.find(found.served, namespace, found.name)
        raise statuses.conflict(call.served.resource, found.name)

    async def _end(self, call: Call, found: Stored, options: DeleteOptions) -> Deleted:
        ending = self._ending(call, found.obj, options)
        if is_over(ending):
            # Of what may be given time to end, the time is set even where it is none.
            last = ending if is_terminating(found.obj) or found.served.storage == PODS else found.obj
            if options.dry_run:
                return _gone(Stored(found.served, last, None))
            return _gone(await self._storage.remove(found, last))
        if ending == found.obj:
            return found
        if options.dry_run:
            return Stored(found.served, ending, None)
        marked = await self._storage.replace(found, ending)
        if found.served.storage == CRDS:
            await self._storage.clear_crd(marked.obj)
            if self._storage.find(found.served, "", found.name) is None:
                return _gone(found)
        return marked

    def _check(self, call: Call, found: Stored, options: DeleteOptions) -> None:
        meta = metadata(found.obj)
        for what, wanted, have, since in (
            (
                "UID",
                options.uid,
                meta["uid"],
                "The object might have been deleted and then recreated",
            ),
            (
                "ResourceVersion",
                options.resource_version,
                meta["resourceVersion"],
                "The object might have been modified",
            ),
        ):
            if wanted is not None and wanted != have:
                text = f"the {what} in the precondition ({wanted}) does not match the {what} in record ({have}). {since}"
                raise statuses.precondition_failed(call.served.resource, found.name, text)

    def _ending(self, call: Call, obj: Json, options: DeleteOptions) -> Json:
        """The object with its end set: over at once, or held by what is left."""
        now = self._clock.now()
        obj = with_metadata(obj, finalizers=_finalizers(call, obj, options) or None)
        grace_s = self._grace_s(call, obj, options)
        if not is_terminating(obj):
            before = obj
            obj = marked_deleted(obj, now, grace_s)
            if call.served.storage in (NAMESPACES, CRDS):
                # Their end is not one of grace, and no change of what is wanted of them.
                obj = with_metadata(
                    obj, deletionGracePeriodSeconds=None, generation=metadata(before).get("generation")
                )
            if call.served.storage == NAMESPACES:
                obj = {**obj, "status": {**(obj.get("status") or {}), "phase": "Terminating"}}
            if call.served.storage == CRDS:
                obj = custom_resources.terminating(obj, now)
            return obj
        remaining_s = int(metadata(obj).get("deletionGracePeriodSeconds") or 0)
        if grace_s >= remaining_s:
            return obj
        # A second delete may only hasten the end.
        began = parse_rfc3339(metadata(obj)["deletionTimestamp"]) - remaining_s
        return marked_deleted(obj, began, grace_s)

    def _grace_s(self, call: Call, obj: Mapping[str, Any], options: DeleteOptions) -> int:
        """Only pods that a kubelet may be running are given time."""
        if call.served.storage != PODS:
            return 0
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
            return 0
        if options.grace_s is not None:
            return options.grace_s
        grace = spec.get("terminationGracePeriodSeconds")
        if grace is None:
            return _DEFAULT_GRACE_S
        return int(grace) if grace >= 0 else 1


def _finalizers(call: Call, obj: Mapping[str, Any], options: DeleteOptions) -> list[str]:
    """With what the propagation policy asks of the garbage collector."""
    found: list[str] = list(metadata(obj).get("finalizers") or ())
    policy = options.propagation
    if not policy:
        # Nobody said: a garbage collector's finalizer that is there already stays.
        if FOREGROUND in found or ORPHAN in found or call.served.storage != "jobs.batch":
            return found
        call.warnings.append(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
            "them or set propagationPolicy=Orphan to suppress this warning"
        )
        policy = "Orphan"
    found = [one for one in found if one not in (FOREGROUND, ORPHAN)]
    added = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    return [*found, *added]


def _gone(last: Stored) -> Deleted:
    if shown_when_gone(last.served.resource.qualified):
        return Stored(last.served, last.obj, None)
    details = statuses.details(last.served.resource, last.name, uid=metadata(last.obj)["uid"])
    return statuses.success(details=details)
