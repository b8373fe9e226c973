"""How objects of many kinds say that they have ended, and how."""

from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.scheduler.grouping.sequence import Standing

_GOOD_CONDITIONS = frozenset({"Complete", "Completed", "Succeeded"})
"""Of Job and TrainJob; JobSet; Kubeflow's kinds and Tekton's."""
_TEKTON = "tekton.dev"
_WORDS: Mapping[str, Standing] = {
    "succeeded": Standing.SUCCEEDED,
    "complete": Standing.SUCCEEDED,
    "completed": Standing.SUCCEEDED,
    "failed": Standing.FAILED,
    "error": Standing.FAILED,
    "stopped": Standing.FAILED,
}
"""As phases and states have them: of pods, PodGroups, Argo's Workflows, Ray's and Spark's jobs."""


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
    for said in _states(status):
        if (standing := _WORDS.get(said.lower())) is not None:
            return standing
    return Standing.RUNNING


def _conditions(status: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    found = status.get("conditions")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else ()


def _states(status: Mapping[str, Any]) -> Iterable[str]:
    application = status.get("applicationState")
    for said in (
        status.get("phase"),
        status.get("jobStatus"),
        application.get("state") if isinstance(application, Mapping) else None,
    ):
        if isinstance(said, str):
            yield said
