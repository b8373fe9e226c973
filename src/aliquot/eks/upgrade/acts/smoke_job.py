"""A Job of somebody's own that has to succeed on the nodes of a group: NCCL between GPUs, a driver, whatever he trusts.

Each attempt has one of its own name, made once, and gone afterwards. What came of it is kept first: a Job that is not there any more would
else be made again.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from msgspec import Struct

from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.upgrade.canaries import left_out, todo, told_left_out
from aliquot.eks.upgrade.doing import Attempt, Doing, Doors
from aliquot.eks.upgrade.verdicts import Done, Errand, Hold, Keep, Verb, Verdict, Wait, Write, Writes
from aliquot.kube.client import Client, Propagation
from aliquot.kube.errors import ApiError, NotFound
from aliquot.kube.resources import JOBS, PODS

POLL_S = 10.0
LABEL = "aliquot.dev/smoke-job"
_LINES = 8
_THE_CORDON = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
_LONGEST_NAME = 45
"""Of 63: pods have more in theirs."""


class SmokeJob(Struct, frozen=True, kw_only=True, tag="smoke-job"):
    name: str
    manifest: dict[str, Any]
    """A batch/v1 Job."""
    group: str = ""
    """Where its pods run; empty: where it says itself."""
    limit_s: float = 1800.0
    canary_of: str = ""
    """Its group is one canary, which is cordoned, of this group."""
    goes: bool = False
    """The run is stopped: what is there of it is taken away, and nothing is made."""

    def __post_init__(self) -> None:
        """Raises ValueError: one line."""
        told = (self.manifest.get("apiVersion"), self.manifest.get("kind"))
        if told != ("batch/v1", "Job"):
            raise ValueError(
                f"smoke job {self.name}: its manifest is {told[0]} {told[1]}: give a batch/v1 Job"
            )
        if len(self.name) > _LONGEST_NAME:
            raise ValueError(
                f"smoke job {self.name}: give it a name of {_LONGEST_NAME} characters at most, for others hang on it"
            )
        spec = self.manifest.get("spec")
        template = spec.get("template") if isinstance(spec, Mapping) else None
        if not isinstance(template, Mapping) or not isinstance(template.get("spec"), Mapping):
            raise ValueError(f"smoke job {self.name}: its manifest has no spec.template.spec")

    @property
    def namespace(self) -> str:
        return str((self.manifest.get("metadata") or {}).get("namespace") or "default")


class SeenJob(Struct, frozen=True, kw_only=True):
    name: str
    succeeded: bool = False
    failed: str = ""
    """Why; empty: it has not."""
    going: bool = False
    """Somebody has deleted it; its pods are on their way."""
    said: tuple[str, ...] = ()
    """The last lines of a pod that failed, or why one does not run."""


class Seen(Struct, frozen=True):
    jobs: tuple[SeenJob, ...]
    """Of this name, of whatever attempt."""


def body_of(act: SmokeJob, name: str) -> dict[str, Any]:
    body = deepcopy(act.manifest)
    metadata = body.setdefault("metadata", {})
    for key in ("generateName", "ownerReferences", "uid", "resourceVersion"):
        metadata.pop(key, None)
    metadata |= {
        "name": name,
        "namespace": act.namespace,
        "labels": {**(metadata.get("labels") or {}), LABEL: act.name},
    }
    # It is looked at until its end has been written down.
    body["spec"].pop("ttlSecondsAfterFinished", None)
    template = body["spec"]["template"]
    if act.group:
        selector = template["spec"].get("nodeSelector") or {}
        template["spec"]["nodeSelector"] = {GROUP_LABEL: act.group, **selector}
    if act.canary_of:
        # Wherever else it says that it runs.
        template["spec"]["nodeSelector"][GROUP_LABEL] = act.group
        template["spec"]["tolerations"] = [*(template["spec"].get("tolerations") or ()), _THE_CORDON]
    return body


def name_of(act: SmokeJob, token: str) -> str:
    return f"{act.name}-{token[:10]}"


async def look(act: SmokeJob, doors: Doors) -> Seen:
    listed = await doors.kube.list(JOBS, act.namespace, label_selector=f"{LABEL}={act.name}")
    return Seen(tuple([await _seen(doors.kube, act, one) for one in listed.items]))


async def _seen(kube: Client, act: SmokeJob, job: Mapping[str, Any]) -> SeenJob:
    name = job["metadata"]["name"]
    if "deletionTimestamp" in job["metadata"]:
        return SeenJob(name=name, going=True)
    true = {
        one["type"]: one
        for one in (job.get("status") or {}).get("conditions") or ()
        if one.get("status") == "True"
    }
    if "Complete" in true:
        return SeenJob(name=name, succeeded=True)
    failed = ""
    if "Failed" in true:
        failed = true["Failed"].get("message") or true["Failed"].get("reason") or "it failed"
    return SeenJob(name=name, failed=failed, said=await _said(kube, act.namespace, name))


async def _said(kube: Client, namespace: str, job: str) -> tuple[str, ...]:
    """Of the pod that is worst off: one that failed before one that does not run."""
    pods = (await kube.list(PODS, namespace, label_selector=f"batch.kubernetes.io/job-name={job}")).items
    for pod in pods:
        if (pod.get("status") or {}).get("phase") == "Failed":
            return await _log(kube, namespace, pod)
    for pod in pods:
        for condition in (pod.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return (f"{pod['metadata']['name']}: {condition.get('message', 'waits for a node')}",)
    return ()


async def _log(kube: Client, namespace: str, pod: Mapping[str, Any]) -> tuple[str, ...]:
    name = pod["metadata"]["name"]
    container = pod["spec"]["containers"][0]["name"]
    try:
        text = await kube.logs(namespace, name, container, tail_lines=_LINES)
    except ApiError as error:
        return (f"{name}: its log cannot be read: {error}",)
    return tuple(text.decode(errors="replace").splitlines()[-_LINES:])


def judged(act: SmokeJob, seen: Seen, attempt: Attempt) -> Verdict:
    if act.goes:
        return _cleaned(seen) or Done(f"smoke job {act.name} is taken away")
    decision = left_out(attempt) if act.canary_of else None
    if decision is not None:
        return _cleaned(seen) or Done(told_left_out(decision))
    name = name_of(act, attempt.token)
    mine = next((one for one in seen.jobs if one.name == name and not one.going), None)
    result = attempt.kept.get(f"{attempt.step}/smoke/{name}")
    if result is not None:
        return _over(act, seen, str(result))
    was_there = f"{attempt.step}/smoke-made/{name}"
    if mine is None:
        if was_there in attempt.kept:
            return _kept(attempt, name, "somebody deleted it before its end")
        return Writes(
            (
                Write(
                    verb=Verb.CREATE,
                    resource=JOBS,
                    name=name,
                    namespace=act.namespace,
                    body=body_of(act, name),
                ),
            )
        )
    if was_there not in attempt.kept:
        return Keep(was_there, attempt.now_s)
    if mine.succeeded:
        return _kept(attempt, name, "")
    said = f": {' | '.join(mine.said)}" if mine.said else ""
    if mine.failed:
        return _kept(attempt, name, f"{mine.failed}{said}")
    if attempt.now_s - attempt.began_s >= act.limit_s:
        return _kept(attempt, name, f"it has not ended after {act.limit_s:.0f} s{said}")
    return Wait(POLL_S, f"Job {act.namespace}/{name} runs{said}")


def _kept(attempt: Attempt, name: str, failure: str) -> Keep:
    return Keep(f"{attempt.step}/smoke/{name}", failure)


def _over(act: SmokeJob, seen: Seen, failure: str) -> Verdict:
    cleaning = _cleaned(seen)
    if cleaning is not None:
        return cleaning
    if failure:
        on = f" on the canary of {act.canary_of}" if act.canary_of else ""
        way_on = todo(act.canary_of) if act.canary_of else "put right what it found, then retry; or go back"
        return Hold(f"smoke job {act.name} failed{on}: {failure}", way_on)
    return Done(f"smoke job {act.name} succeeded")


def _cleaned(seen: Seen) -> Errand | None:
    """None: none of its Jobs is there any more."""
    names = [one.name for one in seen.jobs if not one.going]
    return Errand("clean", {"names": names}) if names else None


async def clean(act: SmokeJob, doors: Doors, parameters: Mapping[str, Any]) -> None:
    """With their pods: of a Job that is deleted without a word these stay."""
    for name in parameters["names"]:
        try:
            await doors.kube.delete(JOBS, name, act.namespace, propagation=Propagation.BACKGROUND)
        except NotFound:
            continue


DOING = Doing(look=look, judge=judged, errands={"clean": clean})
