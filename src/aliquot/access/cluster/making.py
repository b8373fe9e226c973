"""Makes a grant's objects and takes them away, each step safe to repeat: whoever dies in between is carried on from what is there.

Made: timers first, which have to be seen counting, the binding last, and then all is read back. What is there already and is not
as it should be is deleted and made anew, but for its end, which is moved in place so that the holder does not notice.
Taken away: the Secret first, with which every credential dies; a failure at one object keeps nothing else from going.
"""

import asyncio

import structlog

from aliquot.access.cluster import grants
from aliquot.access.cluster.grants import END, TIMERS, Part, Piece
from aliquot.access.cluster.naming import KINDS, LABEL, Ours, object_name, where
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.rules import covers
from aliquot.kube import errors, roles
from aliquot.kube.client import Client, Propagation
from aliquot.kube.decoding import JsonObject
from aliquot.kube.resources import JOBS, Resource

_log = structlog.get_logger(__name__)

_TRIES = 4
_FIRST_LOOK_S, _LONGEST_WAIT_S = 0.02, 0.5


class NotMade(Exception):
    """One line: what is in the way. What was made by then is there; `remove` takes it away."""


class NotRemoved(Exception):
    """One line: what is still there, and why. To be tried again until it is gone."""


async def make(client: Client, spec: GrantSpec) -> None:
    """All of a grant, or its end moved. Raises NotMade and ApiError."""
    if spec.end_s <= client.clock.now():
        raise NotMade(f"{spec.id} has ended")
    try:
        wanted = grants.pieces(spec)
    except ValueError as error:
        raise NotMade(str(error)) from error
    if why := await why_not_role(client, spec):
        raise NotMade(why)
    uids: dict[Part, str] = {}
    timers = [piece for piece in wanted if piece.part in TIMERS]
    for piece in timers:
        uids[piece.part] = await _settle(client, piece, spec, "")
    for piece in timers:
        await _counting(client, piece, uids[piece.part])
    for piece in wanted:
        if piece.part not in TIMERS:
            uids[piece.part] = await _settle(client, piece, spec, uids[piece.owner] if piece.owner else "")
    for piece in wanted:
        found = await client.get(piece.resource, piece.name, piece.namespace)
        differs = grants.differences(piece, spec, found, uids[piece.owner] if piece.owner else "")
        if differs:
            raise NotMade(f"{piece} is there, but {', '.join(differs)} is not what was made")


async def remove(client: Client, grant: str, namespace: str) -> None:
    """Nothing of it is left when this returns. Raises NotRemoved."""
    failures: list[str] = []
    for resource, place in grants.removed(grant, namespace):
        await _delete(client, resource, object_name(grant), place, failures)
    # Whatever carries its label, wherever it is: what was asked for elsewhere, or made by a hand that died.
    for resource, seen in await labelled(client, grant, failures):
        await _delete(client, resource, seen.metadata.name, seen.metadata.namespace or None, failures)
    for resource, seen in [] if failures else await labelled(client, grant, failures):
        place = f"{seen.metadata.namespace}/" if seen.metadata.namespace else ""
        failures.append(f"{resource.kind} {place}{seen.metadata.name} is still there")
    if failures:
        raise NotRemoved(f"{grant}: {'; '.join(failures)}")


async def revoke(client: Client, grant: str) -> None:
    """Only what lets somebody in: from times.WORST_AFTER_REVOKE_S on, no credential is taken. Raises ApiError."""
    resource, place = grants.removed(grant, "")[0]
    try:
        await client.delete(resource, object_name(grant), place)
    except errors.NotFound:
        return


async def why_not_role(client: Client, spec: GrantSpec) -> str:
    """A ClusterRole made beforehand may have been changed since: it has to allow what was approved, and nothing else. Empty: it
    does, or the grant has a role of its own. Raises ApiError."""
    if not spec.role:
        return ""
    try:
        found = await client.get(roles.CLUSTER_ROLES, spec.role)
    except errors.NotFound:
        return f"ClusterRole {spec.role} is not there: apply what 'aliquot access cluster-objects' prints"
    rules = grants.read_rules(found)
    if rules is None or not covers(spec.rules, rules) or not covers(rules, spec.rules):
        return f"ClusterRole {spec.role} does not allow what was approved, or more: apply it anew"
    return ""


async def labelled(client: Client, grant: str, failures: list[str]) -> list[tuple[Resource, Ours]]:
    """All objects that say they are of this grant; what cannot be listed is told in `failures`."""
    found: list[tuple[Resource, Ours]] = []
    for resource in KINDS:
        try:
            listed = await client.list(
                resource, where(resource), label_selector=f"{LABEL}={grant}", into=Ours
            )
        except errors.ApiError as error:
            failures.append(f"{resource.plural} cannot be listed: {error.message}")
            continue
        found += [(resource, one) for one in listed.items]
    return found


async def delete(client: Client, resource: Resource, seen: Ours) -> None:
    """Just the object that was seen, as it was. Raises Conflict where it is another by now, and ApiError."""
    try:
        await client.delete(
            resource,
            seen.metadata.name,
            seen.metadata.namespace or None,
            propagation=_propagation(resource),
            uid=seen.metadata.uid,
            resource_version=seen.metadata.resource_version,
        )
    except errors.NotFound:
        return


async def _settle(client: Client, piece: Piece, spec: GrantSpec, owner_uid: str) -> str:
    """Its uid, once it is there as it should be. Raises NotMade and ApiError."""
    differs: tuple[str, ...] = ()
    for _ in range(_TRIES):
        body = grants.to_create(piece, spec, owner_uid, client.clock.now())
        try:
            made = await client.create(piece.resource, body, piece.namespace)
        except errors.AlreadyExists:
            try:
                found = await client.get(piece.resource, piece.name, piece.namespace)
                differs = grants.differences(piece, spec, found, owner_uid)
                if not differs:
                    return str(found["metadata"]["uid"])
                await _mend(client, piece, spec, found, differs)
            except (errors.NotFound, errors.Conflict):
                # It went or changed between two looks.
                pass
            continue
        return str(made["metadata"]["uid"])
    raise NotMade(f"{piece} is in the way: {', '.join(differs) or 'it comes and goes'}")


async def _mend(
    client: Client, piece: Piece, spec: GrantSpec, found: JsonObject, differs: tuple[str, ...]
) -> None:
    if differs == (END,):
        await client.patch(piece.resource, piece.name, grants.end_patch(piece, spec, found), piece.namespace)
        return
    _log.warning("made anew", object=str(piece), differs=list(differs))
    await client.delete(
        piece.resource,
        piece.name,
        piece.namespace,
        propagation=_propagation(piece.resource),
        uid=found["metadata"]["uid"],
    )


async def _counting(client: Client, piece: Piece, uid: str) -> None:
    """Until the timer's controller counts. Raises NotMade."""
    wait_s = _FIRST_LOOK_S
    try:
        async with asyncio.timeout(grants.START_WITHIN_S):
            while True:
                try:
                    found = await client.get(piece.resource, piece.name, piece.namespace)
                except errors.NotFound:
                    raise NotMade(f"{piece} is gone: somebody deleted it") from None
                if found["metadata"]["uid"] == uid and grants.has_started(found):
                    return
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
    except TimeoutError:
        raise NotMade(
            f"{piece} does not count down {grants.START_WITHIN_S} s after it was made: no grant is made without what "
            "ends it; look at kube-controller-manager"
        ) from None


async def _delete(
    client: Client, resource: Resource, name: str, namespace: str | None, failures: list[str]
) -> None:
    try:
        await client.delete(resource, name, namespace, propagation=_propagation(resource))
    except errors.NotFound:
        return
    except errors.ApiError as error:
        failures.append(f"{resource.kind} {name} cannot be deleted: {error.message}")


def _propagation(resource: Resource) -> Propagation | None:
    # A Job that is deleted without a word leaves what it owns behind.
    return Propagation.BACKGROUND if resource == JOBS else None
