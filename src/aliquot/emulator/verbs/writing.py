"""Create, update, patch and apply.

However it is asked for, a write goes one way: the wanted object is decoded by the kind's schema (unknown fields
judged), defaulted, signed for in managedFields, changed by admission, given what only the server may say, validated by
its schema, and judged by admission. What then equals the stored object is not written: its resourceVersion stays.

Nothing is awaited between the look at the stored object and the write, unless admission waits for somebody (a webhook).
Then the stored object is looked at again; if it changed, all is done anew from there, a few times, so that a client
that named the resourceVersion it saw learns of the conflict, and one that did not need not know.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from aliquot.clock import Clock, rfc3339
from aliquot.emulator import rbac, statuses
from aliquot.emulator.admission import Admitted, Chain, Operation
from aliquot.emulator.kinds import custom_resources
from aliquot.emulator.objects import (
    Json,
    born,
    generated_name,
    is_terminating,
    metadata,
    succeeded,
    unborn,
    with_metadata,
)
from aliquot.emulator.patching.apply import check_applied, not_convertible, server_side_apply
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.managed_fields import Writer as Signature
from aliquot.emulator.patching.managed_fields import track_update
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.registry import CRDS, Served
from aliquot.emulator.schema.errors import ErrorType, FieldError, invalid, invalid_status
from aliquot.emulator.schema.kind import DecodeError
from aliquot.emulator.schema.validation.metadata import IMMUTABLE
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.storage import Storage, Stored
from aliquot.emulator.verbs import patches, strategies
from aliquot.emulator.verbs.bodies import Body, judge, read, read_yaml, warn, yaml_errors
from aliquot.emulator.verbs.call import Call, Validation
from aliquot.emulator.verbs.decoding import decoded, decoded_beside, judged, typed

# Whose updates must name the resourceVersion that they succeed, beside custom objects'.
_SEEN_GROUPS = ("apiextensions.k8s.io", "admissionregistration.k8s.io")
_SEEN = frozenset(
    [
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "leases.coordination.k8s.io",
        "poddisruptionbudgets.policy",
        "runtimeclasses.node.k8s.io",
        "volumeattachments.storage.k8s.io",
    ]
)

_NOT_STRICT = "error strict decoding YAML: error converting YAML to JSON: "
_RBAC_GROUP = "rbac.authorization.k8s.io"
_TRIES = 5
"""As often is a write begun anew whose object changed while admission was waited for."""


@dataclass(frozen=True, slots=True)
class Part:
    """A body of another kind that stands for a part of an object, as a Scale does for its replicas."""

    read: Callable[[Json], Json]
    write: Callable[[Json, Json], Json]
    """The object with the part replaced. Raises StatusError."""


class Writer:
    def __init__(
        self,
        storage: Storage,
        authorizer: Authorizer,
        chain: Chain,
        *,
        clock: Clock,
        rng: Random,
    ) -> None:
        self._storage = storage
        self._authorizer = authorizer
        self._chain = chain
        self._clock = clock
        self._rng = rng

    # ---- verbs -------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Stored:
        """Raises StatusError."""
        body = read(call)
        obj = decoded(call, typed(call.served, body.value), body)
        return await self._create(call, obj, self._signed_new)

    async def update(self, call: Call) -> Stored:
        """The whole object (or its status) as the client has it. Raises StatusError."""
        body = read(call)
        asked = typed(call.served, body.value)
        self._check_address(call, asked)
        return await self._change(call, lambda old: decoded_beside(call, asked, old, body))

    async def patch(self, call: Call) -> tuple[Stored, bool]:
        """(the object, whether it is new: only an apply may make one). Raises StatusError."""
        if call.content_type == patches.APPLY_PATCH:
            return await self._apply(call)
        patch = patches.read(call)

        def patched(old: Json) -> Json:
            try:
                new = patch.change(old)
            except PatchError as error:
                raise patches.refused(error) from error
            if isinstance(new, dict):
                new = typed(call.served, new)
                if not metadata(new).get("name"):
                    # A patch may take it away; some of what is filled in goes by it.
                    new = with_metadata(new, name=call.name)
            new = decoded_beside(call, new, old, patch)
            self._check_address(call, new)
            return new

        return await self._change(call, patched), False

    async def change_part(self, call: Call, part: Part, wanted: Callable[[Json], Json]) -> Stored:
        """Writes an object of which `wanted` makes a new part from the old one. Raises StatusError."""
        for _ in range(_TRIES):
            old = self._storage.must_find(call.served, call.namespace, call.name)
            was = part.read(old.obj)
            with ExitStack() as until_written:
                asked = self._asked(call, Operation.UPDATE, call.name, was, until_written)
                new = part.write(old.obj, await self._chain.mutate(asked, wanted(was)))
                new = self._signed(call, old.obj, succeeded(new, old.obj))
                new = strategies.prepare_update(call.served, new, old.obj, self._clock.now())
                self._check_valid(call, new, old.obj)
                await self._chain.validate(asked, part.read(new))
                if self._storage.is_latest(old):
                    return await self._replace(call, old, new)
        raise statuses.conflict(call.served.resource, call.name)

    async def admit(self, call: Call, body: Json, operation: Operation = Operation.CREATE) -> Json:
        """A body that is not stored, as admission lets it pass: a Binding, an Eviction. Raises StatusError."""
        with ExitStack() as until_written:
            asked = self._asked(call, operation, call.name, None, until_written)
            return await self._chain.admit(asked, body)

    def signed(self, call: Call, body: Json) -> Json:
        """A body that is not stored, with who says what in it."""
        return self._signed_new(call, body)

    async def set_directly(self, call: Call, old: Stored, new: Json) -> Stored:
        """Writes `new` as it is, spec and status at once, for a subresource that has rules of its own and has passed
        admission with a body of its own."""
        return await self._replace(call, old, self._signed(call, old.obj, new))

    # ---- patches -----------------------------------------------------------------------------------------

    async def _apply(self, call: Call) -> tuple[Stored, bool]:
        served = call.served
        if not call.request.query.text("fieldManager"):
            raise statuses.failure(
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
                {"group": "meta.k8s.io", "kind": "PatchOptions"},
            )
        applied = self._applied(call)
        if metadata(applied).get("managedFields"):
            raise statuses.bad_request("metadata.managedFields must be nil")
        self._check_address(call, applied)
        for _ in range(_TRIES):
            old = self._storage.find(served, call.namespace, call.name)
            merged = self._merged(call, applied, old)
            if old is not None:
                written = await self._attempt(call, old, merged, _signed_as_next)
                if written is not None:
                    return written, False
                continue
            try:
                return await self._create(call, merged, _signed_as_new), True
            except StatusError:
                # Somebody made it while admission was waited for: then this is an update.
                if self._storage.find(served, call.namespace, call.name) is None:
                    raise
        raise statuses.conflict(served.resource, call.name)

    def _applied(self, call: Call) -> Json:
        """The body of an apply, which must fit its schema whatever `fieldValidation` says."""
        served = call.served
        body = read_yaml(call.body, strictly=call.validation is not Validation.IGNORE)
        asked = body.value
        if not isinstance(asked, dict):
            raise statuses.bad_request(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                f"{'array' if isinstance(asked, list) else 'value'} into Go value of type map[string]interface {{}}"
            )
        kind, version = asked.get("kind") or "", asked.get("apiVersion") or ""
        if (kind, version) != (served.resource.kind, served.resource.api_version):
            shown = str(version) if "/" in str(version) else f"/{version}"
            raise statuses.bad_request(f"invalid object type: {shown}, Kind={kind}")
        try:
            check_applied(asked, served.schema.shape, served.resource.api_version)
            read = served.schema.decode(asked)
        except PatchError as error:
            raise patches.refused(error) from error
        except DecodeError as error:
            unfit = not_convertible(asked, served.resource.api_version, error.cause)
            raise patches.refused(unfit) from error
        judge(call, body, (), lambda _: statuses.bad_request(_NOT_STRICT + yaml_errors(body.lines)))
        return judged(call, asked, Body(asked), lambda _: read)

    def _merged(self, call: Call, applied: Json, old: Stored | None) -> Json:
        served = call.served
        if old is None and call.request.subresource:
            raise statuses.not_found(served.resource, call.name)
        if old is None and (uid := metadata(applied).get("uid")):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise statuses.conflict(served.resource, call.name, why)
        if old is not None:
            self._check_identity(call, applied, old.obj)
        try:
            merged = server_side_apply(
                old.obj if old is not None else None,
                applied,
                served.schema.shape,
                self._signature(call),
                force=call.request.query.flag("force"),
                reset_fields=strategies.reset_fields(served, call.request.subresource),
            )
        except PatchError as error:
            raise patches.refused(error) from error
        return served.schema.default(merged)

    # ---- the way of a write ------------------------------------------------------------------------------

    async def _create(self, call: Call, obj: Json, sign: Callable[[Call, Json], Json]) -> Stored:
        """`obj`, decoded and defaulted, as a new object."""
        wanted, namespace = metadata(obj), call.namespace
        if wanted.get("namespace") and wanted["namespace"] != namespace:
            raise statuses.other_namespace()
        if call.served.resource.namespaced and not namespace:
            raise statuses.bad_request("an empty namespace may not be set during creation")
        if wanted.get("resourceVersion") and call.request.method == "POST":
            if not call.dry_run:
                raise statuses.failure(500, "", "resourceVersion should not be set on objects to be created")
            wanted = {key: value for key, value in wanted.items() if key != "resourceVersion"}
            obj = {**obj, "metadata": wanted}
        # Signed for now: what the server and admission add is nobody's.
        obj = unborn(sign(call, obj), namespace)
        with ExitStack() as until_written:
            asked = self._asked(call, Operation.CREATE, wanted.get("name") or "", None, until_written)
            new = await self._new(asked, obj)
            if not call.dry_run:
                return await self._storage.create(call.served, new)
            if self._storage.find(call.served, namespace, metadata(new)["name"]) is not None:
                raise statuses.already_exists(call.served.resource, metadata(new)["name"])
            return Stored(call.served, new, None)

    async def _new(self, asked: Admitted, obj: Json) -> Json:
        """The object ready to be stored; nothing is awaited after its last look at others."""
        call, served, now = asked.call, asked.served, self._clock.now()
        mutated = await self._chain.mutate(asked, obj)
        obj = mutated if mutated is obj else unborn(mutated, call.namespace)
        wanted = metadata(obj)
        name = wanted.get("name") or self._free_name(served, call.namespace, wanted.get("generateName") or "")
        obj = strategies.prepare_create(served, born(obj, name=name, now=now, rng=self._rng), now)
        obj = self._chain.allocate(asked, obj)
        if errors := served.schema.validate(obj):
            raise statuses.invalid(served.resource, name, errors)
        warn(call, served.schema.warnings(obj))
        self._check_escalation(call, obj, None)
        await self._chain.validate(asked, obj)
        if served.storage == CRDS:
            obj = custom_resources.judge(obj, self._storage.all(CRDS), now)
        return obj

    def _free_name(self, served: Served, namespace: str, base: str) -> str:
        if not base:
            missing = [
                FieldError(ErrorType.REQUIRED, "metadata.name", "", "name or generateName is required")
            ]
            raise statuses.invalid(served.resource, "", missing)
        while True:
            name = generated_name(base, self._rng)
            if self._storage.get(served.storage, namespace, name) is None:
                return name

    async def _change(self, call: Call, wanted: Callable[[Json], Json]) -> Stored:
        """Writes what `wanted` makes, decoded and defaulted, of the stored object."""
        for _ in range(_TRIES):
            old = self._storage.must_find(call.served, call.namespace, call.name)
            written = await self._attempt(call, old, wanted(old.obj), self._signed)
            if written is not None:
                return written
        raise statuses.conflict(call.served.resource, call.name)

    async def _attempt(
        self, call: Call, old: Stored, new: Json, sign: Callable[[Call, Json, Json], Json]
    ) -> Stored | None:
        """None when somebody else wrote the object while admission was waited for."""
        with ExitStack() as until_written:
            asked = self._asked(call, Operation.UPDATE, call.name, old.obj, until_written)
            new = await self._next(asked, old.obj, new, sign)
            return await self._replace(call, old, new) if self._storage.is_latest(old) else None

    async def _next(
        self, asked: Admitted, old: Json, new: Json, sign: Callable[[Call, Json, Json], Json]
    ) -> Json:
        """`new`, decoded and defaulted, as the successor of `old` on the call's endpoint, ready to be stored."""
        call, now = asked.call, self._clock.now()
        self._check_identity(call, new, old)
        new = sign(call, old, succeeded(new, old))
        mutated = await self._chain.mutate(asked, new)
        if mutated is not new:
            new = succeeded(mutated, old)
        new = self._prepared(call, new, old, now)
        new = self._chain.allocate(asked, new)
        self._check_valid(call, new, old)
        await self._chain.validate(asked, new)
        is_crd = call.served.storage == CRDS and not call.request.subresource
        if is_crd and new != old and not is_terminating(old):
            new = custom_resources.judge(new, self._storage.all(CRDS), now)
        return new

    def _prepared(self, call: Call, new: Json, old: Json, now: float) -> Json:
        match call.request.subresource:
            case "status":
                return strategies.prepare_status(call.served, new, old, now)
            case "ephemeralcontainers":
                return strategies.prepare_ephemeral_containers(new, old)
            case "approval":
                return strategies.prepare_approval(new, old, now)
            case "finalize":
                return {**old, "spec": new.get("spec") or {}, "metadata": metadata(new)}
            case _:
                return strategies.prepare_update(call.served, new, old, now)

    def _asked(
        self, call: Call, operation: Operation, name: str, old: Json | None, until_written: ExitStack
    ) -> Admitted:
        return Admitted(
            call,
            operation,
            name,
            old,
            self._storage,
            self._rng,
            dry_run=call.dry_run,
            until_written=until_written,
        )

    async def _replace(self, call: Call, old: Stored, new: Json) -> Stored:
        if new == old.obj and self._storage.is_as_stored(old):
            return old
        if call.dry_run:
            return Stored(call.served, new, None)
        if is_over(new):
            return await self._storage.remove(old, new)
        return await self._storage.replace(old, new)

    # ---- checks ------------------------------------------------------------------------------------------

    def _check_address(self, call: Call, obj: Json) -> None:
        """The body is about the object that the path names."""
        wanted = metadata(obj)
        if not wanted.get("name") and call.request.method == "PUT":
            raise statuses.bad_request(
                f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
            )
        if wanted.get("name", call.name) != call.name:
            raise statuses.bad_request(
                f"the name of the object ({wanted['name']}) does not match the name on the URL ({call.name})"
            )
        if wanted.get("namespace") and call.namespace and wanted["namespace"] != call.namespace:
            raise statuses.other_namespace()

    def _check_identity(self, call: Call, new: Json, old: Json) -> None:
        """The client saw this object, at this revision, if it says what it saw."""
        wanted, found = metadata(new), metadata(old)
        if wanted.get("uid") and wanted["uid"] != found["uid"]:
            if call.request.method != "PUT":
                immutable = FieldError(ErrorType.INVALID, "metadata.uid", wanted["uid"], IMMUTABLE)
                raise statuses.invalid(call.served.resource, call.name, [immutable])
            raise statuses.conflict(
                call.served.resource,
                call.name,
                f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {found['uid']}",
            )
        seen = wanted.get("resourceVersion")
        if seen in (None, "", "0") and call.request.method == "PUT" and _must_say_what_it_saw(call.served):
            error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
            resource = call.served.resource
            # By the resource's name, where other refusals have the kind.
            raise StatusError(invalid_status(resource.group, resource.plural, call.name, [error]))
        if seen not in (None, "", "0", found["resourceVersion"]):
            raise statuses.conflict(call.served.resource, call.name)

    def _check_valid(self, call: Call, new: Json, old: Json) -> None:
        if new == old:
            return
        if errors := call.served.schema.validate_update(new, old, call.request.subresource):
            raise statuses.invalid(call.served.resource, call.name, errors)
        if not call.request.subresource:
            warn(call, call.served.schema.warnings(new, old))
        self._check_escalation(call, new, old)

    def _check_escalation(self, call: Call, obj: Json, old: Json | None) -> None:
        if call.served.resource.group != _RBAC_GROUP:
            return
        refusal = rbac.escalation(self._authorizer, call.user, obj, old)
        if refusal is not None:
            raise statuses.failure(refusal.code, refusal.reason, refusal.message, refusal.details)

    # ---- managed fields ----------------------------------------------------------------------------------

    def _signature(self, call: Call) -> Signature:
        return Signature(
            call.manager,
            call.served.resource.api_version,
            rfc3339(self._clock.now()),
            call.request.subresource,
        )

    def _signed_new(self, call: Call, obj: Json) -> Json:
        return track_update(
            None,
            obj,
            call.served.schema.shape,
            self._signature(call),
            strategies.reset_fields(call.served, call.request.subresource),
        )

    def _signed(self, call: Call, old: Json, new: Json) -> Json:
        if new == old:
            return old
        return track_update(
            old,
            new,
            call.served.schema.shape,
            self._signature(call),
            strategies.reset_fields(call.served, call.request.subresource),
        )


def _signed_as_new(_: Call, obj: Json) -> Json:
    return obj


def _signed_as_next(_: Call, old: Json, new: Json) -> Json:
    return new


def _must_say_what_it_saw(served: Served) -> bool:
    """Whether an update has to name the resourceVersion that it succeeds."""
    group = served.resource.group
    return served.crd is not None or group in _SEEN_GROUPS or served.storage in _SEEN


def is_over(obj: Json) -> bool:
    """Nothing holds an object that was asked to go: no finalizer, no grace period, and no content of a namespace."""
    found = metadata(obj)
    return (
        "deletionTimestamp" in found
        and not found.get("finalizers")
        and not found.get("deletionGracePeriodSeconds")
        and not (obj.get("kind") == "Namespace" and (obj.get("spec") or {}).get("finalizers"))
    )
