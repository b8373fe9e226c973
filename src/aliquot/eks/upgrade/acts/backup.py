"""Everything that would be missed, written down before it is changed: objects of the cluster, and how AWS has its parts.

Secrets are left out: what is secret does not leave the cluster. Where Velero is installed, it makes a backup of its own, too.
"""

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from aliquot.eks.aws import arns
from aliquot.eks.aws.api import Failure
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors, Vault
from aliquot.eks.upgrade.verdicts import Done, Errand, Hold, Verb, Verdict, Wait, Write, Writes
from aliquot.kube.client import Client
from aliquot.kube.errors import Forbidden, NotFound
from aliquot.kube.resources import Resource

VELERO = Resource("velero.io", "v1", "backups", "Backup")
_VELERO_NAMESPACE = "velero"
_EXPORT = "export"
_POLL_S = 15.0
_LEFT_OUT = frozenset({"secrets", "events", "pods", "endpoints", "endpointslices", "leases", "replicasets"})
"""What is secret, and what is made anew by itself."""


class Backup(Struct, frozen=True, tag="backup"):
    cluster: str
    hop: str
    arn: str = ""
    """The cluster's: there may be one of its name in another region."""

    @property
    def index(self) -> str:
        place = f"{arns.account(self.arn)}/{arns.region(self.arn)}/" if self.arn else ""
        return f"backup/{place}{self.cluster}/{self.hop}/index.json"


class Seen(Struct, frozen=True, kw_only=True):
    index: dict[str, Any] | None
    """None: there is none yet."""
    velero: str
    """Its phase; `none`: no Velero; empty: Velero has not begun."""
    velero_says: str = ""


async def look(act: Backup, doors: Doors) -> Seen:
    found = await doors.store.get(act.index)
    index = None if found is None else json.loads(found)
    try:
        listed = await doors.kube.list(VELERO, _VELERO_NAMESPACE)
    except (NotFound, Forbidden):
        return Seen(index=index, velero="none")
    for one in listed.items:
        if one["metadata"]["name"] == _velero_name(act):
            status = one.get("status", {})
            return Seen(
                index=index,
                velero=status.get("phase", "New"),
                velero_says=status.get("failureReason", ""),
            )
    return Seen(index=index, velero="")


def judged(act: Backup, seen: Seen, attempt: Attempt) -> Verdict:
    if seen.index is None or seen.index["run"] != attempt.run:
        return Errand(_EXPORT, {"run": attempt.run})
    if seen.velero == "":
        return Writes((_velero(act),))
    if seen.velero in ("Failed", "FailedValidation", "PartiallyFailed"):
        return Hold(
            f"Velero's backup {_velero_name(act)}: {seen.velero} {seen.velero_says}".rstrip(), "retry"
        )
    if seen.velero not in ("none", "Completed"):
        return Wait(_POLL_S, f"Velero's backup is {seen.velero}")
    also = "; Velero has one, too" if seen.velero == "Completed" else ""
    return Done(f"{seen.index['objects']} objects of {seen.index['kinds']} kinds are in {act.index}{also}")


def _velero_name(act: Backup) -> str:
    return f"aliquot-{act.cluster.lower()}-before-{act.hop}"


def _velero(act: Backup) -> Write:
    metadata = {"name": _velero_name(act), "namespace": _VELERO_NAMESPACE}
    body = {"apiVersion": "velero.io/v1", "kind": "Backup", "metadata": metadata, "spec": {"ttl": "720h0m0s"}}
    return Write(
        verb=Verb.CREATE, resource=VELERO, name=metadata["name"], namespace=_VELERO_NAMESPACE, body=body
    )


async def export(act: Backup, doors: Doors, parameters: Mapping[str, Any]) -> None:
    """The index is written last: where it is, all is."""
    vault, root = doors.store, act.index.removesuffix("/index.json")
    objects = kinds = 0
    for resource in await _kinds(doors.kube):
        try:
            listed = await doors.kube.list(resource)
        except (NotFound, Forbidden):
            # Some kinds can only be made (reviews), some are not for us.
            continue
        if not listed.items:
            continue
        lines = [
            json.dumps({"apiVersion": resource.api_version, "kind": resource.kind, **one})
            for one in listed.items
        ]
        name = f"{root}/{resource.group or 'core'}/{resource.plural}.jsonl.gz"
        await vault.put(name, gzip.compress("\n".join(lines).encode(), mtime=0))
        objects, kinds = objects + len(lines), kinds + 1
    await _aws(act, doors, vault, root)
    index = {
        "run": parameters["run"],
        "cluster": act.cluster,
        "objects": objects,
        "kinds": kinds,
        "at": datetime.fromtimestamp(doors.clock.now(), UTC).isoformat(),
    }
    await vault.put(act.index, json.dumps(index, indent=2).encode())


async def _kinds(kube: Client) -> list[Resource]:
    """In each group's preferred version, as discovery has it."""
    paths = ["/api/v1"]
    told = json.loads(await kube.get_raw("/apis"))
    paths += [f"/apis/{one['preferredVersion']['groupVersion']}" for one in told.get("groups", ())]
    found = []
    for path in paths:
        listed = json.loads(await kube.get_raw(path))
        group, _, version = listed["groupVersion"].rpartition("/")
        for one in listed.get("resources", ()):
            if "/" in one["name"] or "list" not in one.get("verbs", ()) or one["name"] in _LEFT_OUT:
                continue
            found.append(Resource(group, version, one["name"], one["kind"], namespaced=one["namespaced"]))
    return found


async def _aws(act: Backup, doors: Doors, vault: Vault, root: str) -> None:
    api, whose = doors.api, {"clusterName": act.cluster}
    told: dict[str, Any] = {
        "cluster": (await api.call("eks", "DescribeCluster", name=act.cluster))["cluster"]
    }
    told["nodegroups"] = [
        (await api.call("eks", "DescribeNodegroup", **whose, nodegroupName=name))["nodegroup"]
        async for name in api.pages("eks", "ListNodegroups", "nodegroups", **whose)
    ]
    told["addons"] = [
        (await api.call("eks", "DescribeAddon", **whose, addonName=name))["addon"]
        async for name in api.pages("eks", "ListAddons", "addons", **whose)
    ]
    templates = {
        (one["id"], str(one["version"]))
        for group in told["nodegroups"]
        if (one := group.get("launchTemplate")) is not None and "id" in one
    }
    told["launchTemplates"] = []
    for id_, version in sorted(templates):
        try:
            answer = await api.call(
                "ec2", "DescribeLaunchTemplateVersions", LaunchTemplateId=id_, Versions=[version]
            )
        except Failure as error:
            told["launchTemplates"].append({"id": id_, "version": version, "notRead": error.message})
            continue
        told["launchTemplates"] += answer["LaunchTemplateVersions"]
    await vault.put(f"{root}/aws.json", json.dumps(told, default=str, indent=2, sort_keys=True).encode())


DOING = Doing(look=look, judge=judged, errands={_EXPORT: export})
