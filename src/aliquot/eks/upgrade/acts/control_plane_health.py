"""The API server after its upgrade: does it answer, in the new minor, to all that it is asked?"""

import json
from typing import Any

from msgspec import Struct

from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold, Verdict, Wait
from aliquot.eks.versions.minor import Minor
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError, Forbidden, NotFound, Unauthorized
from aliquot.kube.resources import APISERVICES, CONFIGMAPS, DEPLOYMENTS, NODES

_LOOK_S = 15.0
_SETTLE_S = 600.0
_PROBE = {"metadata": {"name": "aliquot-upgrade-probe", "namespace": "default"}}


class ControlPlaneHealth(Struct, frozen=True, tag="control-plane-health"):
    minor: Minor


class Seen(Struct, frozen=True, kw_only=True):
    version: str
    troubles: tuple[str, ...] = ()
    """One line each."""


async def look(act: ControlPlaneHealth, doors: Doors) -> Seen:
    kube = doors.kube
    version = json.loads(await kube.get_raw("/version")).get("gitVersion", "")
    paths = ["/livez", "/readyz", *await _groups(kube)]
    troubles = [line for path in paths if (line := await _trouble(kube, path))]
    troubles += await _unavailable(kube)
    troubles += await _dns(kube)
    # Through admission, and nothing is made: webhooks that fail closed are heard of here.
    try:
        await kube.create(CONFIGMAPS, _PROBE, dry_run=True)
    except ApiError as error:
        troubles.append(f"an object cannot be made (dry run): {error}")
    return Seen(version=version, troubles=tuple(troubles))


async def _trouble(kube: Client, path: str) -> str:
    try:
        await kube.get_raw(path)
    except ApiError as error:
        return f"{path}: {error}"
    return ""


async def _groups(kube: Client) -> list[str]:
    told: dict[str, Any] = json.loads(await kube.get_raw("/apis"))
    return [f"/apis/{one['preferredVersion']['groupVersion']}" for one in told.get("groups", ())]


async def _unavailable(kube: Client) -> list[str]:
    try:
        listed = await kube.list(APISERVICES)
    except (NotFound, Forbidden, Unauthorized):
        return []
    return [
        f"APIService {one['metadata']['name']}: {condition.get('message', 'not available')}"
        for one in listed.items
        for condition in one.get("status", {}).get("conditions", ())
        if condition.get("type") == "Available" and condition.get("status") != "True"
    ]


async def _dns(kube: Client) -> list[str]:
    try:
        told = await kube.get(DEPLOYMENTS, "coredns", "kube-system")
    except (NotFound, Forbidden):
        # A cluster may have its names from elsewhere.
        return []
    if not (await kube.list(NODES)).items:
        # Nobody could run them, and nobody asks for names.
        return []
    wanted = told.get("spec", {}).get("replicas", 1)
    ready = told.get("status", {}).get("readyReplicas", 0)
    return [f"coredns: {ready} of {wanted} ready"] if ready < min(1, wanted) else []


def judged(act: ControlPlaneHealth, seen: Seen, attempt: Attempt) -> Verdict:
    troubles = list(seen.troubles)
    try:
        right = Minor.parse(seen.version) == act.minor
    except ValueError:
        right = False
    if not right:
        troubles.insert(0, f"it says that it is {seen.version or 'nothing'}, not {act.minor}")
    if not troubles:
        return Done(f"the API server is {seen.version}, and well")
    if attempt.now_s - attempt.began_s < _SETTLE_S:
        return Wait(_LOOK_S, troubles[0])
    return Hold(f"the API server is not well: {'; '.join(troubles)}", "mend it, then retry; or go back")


DOING = Doing(look=look, judge=judged)
