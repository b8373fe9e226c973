"""What a Job says of failures and of success: podFailurePolicy and successPolicy. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aliquot.emulator.controllers import indexes
from aliquot.kube.api.core import ContainerStatus, Pod


class Action(StrEnum):
    COUNT = "Count"
    """As if there were no policy."""
    IGNORE = "Ignore"
    FAIL_INDEX = "FailIndex"
    FAIL_JOB = "FailJob"


@dataclass(frozen=True, slots=True)
class Verdict:
    action: Action
    message: str = ""
    """Why the whole Job fails."""


_COUNTED = Verdict(Action.COUNT)


def judge(policy: Mapping[str, Any] | None, pod: Pod) -> Verdict:
    """What the first rule that a failed pod matches says of it."""
    for place, rule in enumerate((policy or {}).get("rules") or ()):
        why = _matching_exit(rule.get("onExitCodes"), pod) or _matching_condition(
            rule.get("onPodConditions"), pod
        )
        if not why:
            continue
        action = Action(rule.get("action", Action.COUNT))
        message = f"{why} matching {action} rule at index {place}" if action is Action.FAIL_JOB else ""
        return Verdict(action, message)
    return _COUNTED


def _matching_exit(requirement: Mapping[str, Any] | None, pod: Pod) -> str:
    if requirement is None:
        return ""
    name = requirement.get("containerName")
    codes = requirement.get("values") or ()
    for status in _statuses(pod):
        ended = status.state.terminated
        if ended is None or ended.exit_code == 0 or name not in (None, status.name):
            continue
        if (ended.exit_code in codes) == (requirement.get("operator") == "In"):
            return f"Container {status.name} for pod {_named(pod)} failed with exit code {ended.exit_code}"
    return ""


def _statuses(pod: Pod) -> Iterable[ContainerStatus]:
    return (*(pod.status.container_statuses or ()), *(pod.status.init_container_statuses or ()))


def _matching_condition(patterns: Iterable[Mapping[str, Any]] | None, pod: Pod) -> str:
    for pattern in patterns or ():
        wanted = (pattern.get("type"), pattern.get("status") or "True")
        for condition in pod.status.conditions or ():
            if (condition.type, condition.status) == wanted:
                return f"Pod {_named(pod)} has condition {condition.type}"
    return ""


def _named(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def success(policy: Mapping[str, Any] | None, succeeded: Collection[int]) -> str:
    """Why a Job is a success with these completion indexes done, empty while it is none."""
    for place, rule in enumerate((policy or {}).get("rules") or ()):
        wanted, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        if wanted is None:
            met = count is not None and len(succeeded) >= count
        else:
            required = indexes.parse(wanted)
            met = len(required & set(succeeded)) >= (len(required) if count is None else count)
        if met:
            return f"Matched rules at index {place}"
    return ""
