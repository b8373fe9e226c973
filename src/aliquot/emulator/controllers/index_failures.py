"""Failures of single completion indexes (`backoffLimitPerIndex`). Pure.

How often an index has failed is written on its newest pod. So a failed pod stays, uncounted, until the next one of
its index has been made and carries the number on.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from aliquot.emulator.controllers import indexes, pods
from aliquot.emulator.controllers.job_policies import Action, Verdict
from aliquot.kube.api.core import Pod

COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclass(frozen=True, slots=True)
class Failures:
    counted: int = 0
    ignored: int = 0

    @property
    def total(self) -> int:
        return self.counted + self.ignored

    def annotations(self) -> dict[str, str]:
        ignored = {IGNORED_COUNT: str(self.ignored)} if self.ignored else {}
        return {COUNT: str(self.counted), **ignored}


def before(pod: Pod) -> Failures:
    """Those of the pod's index before the pod itself."""
    return Failures(_number(pod, COUNT), _number(pod, IGNORED_COUNT))


def after(pod: Pod, verdict: Verdict) -> Failures:
    """With the failure of the pod itself."""
    known = before(pod)
    if verdict.action is Action.IGNORE:
        return Failures(known.counted, known.ignored + 1)
    return Failures(known.counted + 1, known.ignored)


def _number(pod: Pod, name: str) -> int:
    text = (pod.metadata.annotations or {}).get(name, "")
    return int(text) if text.isdigit() else 0


def fails_its_index(pod: Pod, verdict: Verdict, limit: int) -> bool:
    """Whether with this failed pod its index has failed for good."""
    if verdict.action is Action.FAIL_INDEX:
        return True
    return verdict.action is not Action.IGNORE and before(pod).counted >= limit


def waiting(
    failed: Iterable[Pod],
    verdicts: Mapping[str, Verdict],
    limit: int,
    settled: Collection[int],
) -> dict[int, Pod]:
    """By index, the last of its failed pods, where the next one has still to be made.

    `settled` are indexes that need no more: done, failed, or with a pod that runs.
    """
    last: dict[int, Pod] = {}
    for pod in failed:
        index = indexes.of_pod(pod)
        if index is None or index in settled or fails_its_index(pod, verdicts[pod.metadata.uid], limit):
            continue
        known = last.get(index)
        if known is None or _order(known) <= _order(pod):
            last[index] = pod
    return last


def _order(pod: Pod) -> tuple[int, float]:
    return before(pod).total, pods.ended_at(pod)
