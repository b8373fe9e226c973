"""How objects of many kinds say that they have ended, and how."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aliquot.kube.api.core import Pod
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import value
from aliquot.scheduler.grouping.sequence import Standing

_GOOD_CONDITIONS = frozenset({"Complete", "Completed", "Succeeded"})
"""Of Job and TrainJob; JobSet; Kubeflow's kinds and Tekton's."""
_TEKTON = "tekton.dev"
_RAY = "ray.io"
_WORDS: Mapping[str, Standing] = {
    "succeeded": Standing.SUCCEEDED,
    "complete": Standing.SUCCEEDED,
    "completed": Standing.SUCCEEDED,
    "failed": Standing.FAILED,
    "error": Standing.FAILED,
    "stopped": Standing.FAILED,
}
"""As phases and states have them: of pods, PodGroups, Argo's Workflows, Ray's and Spark's jobs."""
_GROUPS = (
    keys.POD_GROUP,
    keys.KAI_POD_GROUP,
    keys.COSCHEDULING_POD_GROUP,
    *keys.VOLCANO_POD_GROUPS,
    keys.KUEUE_POD_GROUP,
)


def standing_of(group: str, status: Mapping[str, Any]) -> Standing:
    """Of an object that exists, by its status."""
    for condition in _conditions(status):
        kind, value = condition.get("type"), condition.get("status")
        if kind in _GOOD_CONDITIONS and value == "True":
            return Standing.SUCCEEDED
        if kind == "Failed" and value == "True":
            return Standing.FAILED
        if kind == "Succeeded" and value == "False" and group == _TEKTON:
            return Standing.FAILED
    if group == _RAY:
        return _of_ray(status)
    for said in _states(status):
        if (standing := _WORDS.get(said.lower())) is not None:
            return standing
    return Standing.RUNNING


def _of_ray(status: Mapping[str, Any]) -> Standing:
    """What a RayJob has submitted may fail, and be tried again: the whole has ended when its deployment has."""
    deployment, submitted = status.get("jobDeploymentStatus"), status.get("jobStatus")
    if deployment == "Failed":
        return Standing.FAILED
    if deployment == "Complete":
        return _WORDS.get(str(submitted or "succeeded").lower(), Standing.FAILED)
    return Standing.RUNNING


def groups_of(pod: Pod) -> Iterator[str]:
    """Keys of the groups that the pod names, whosever they are."""
    if pod.spec.scheduling_group is not None and (name := pod.spec.scheduling_group.pod_group_name):
        yield f"{pod.metadata.namespace}/{name}"
    if pod.metadata.labels or pod.metadata.annotations:
        for label in _GROUPS:
            if name := value(pod.metadata, label):
                yield f"{pod.metadata.namespace}/{name}"


def _conditions(status: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    found = status.get("conditions")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else ()


def _states(status: Mapping[str, Any]) -> Iterable[str]:
    application = status.get("applicationState")
    for said in (
        status.get("phase"),
        application.get("state") if isinstance(application, Mapping) else None,
    ):
        if isinstance(said, str):
            yield said
