"""Who may be moved for a job, and how much of that is too much.

By the units of `victims`, and guarded as those are. What is different: no claim is asked for, but each of the pods is made anew
by itself and has run for a while, and all together are little beside what the job gets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import inf

from aliquot.scheduler.core.attempts import Fitting
from aliquot.scheduler.core.landings import stand_in_key
from aliquot.scheduler.core.making import asks
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.pod import Amounts, PlacedPod, PodRequest
from aliquot.scheduler.core.queues.reclaim import Holding, safe_until_s
from aliquot.scheduler.core.queues.terms import primary
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.victims import Everybody, Guards, Unit

MOST_PODS = 16
"""That are moved for one job. Nor do they have more GPUs together than it asks for."""
MOST_LOST_GPU_HOURS = 8.0
"""Of work that is lost, since it was last written down, with what is moved for one job."""
AT_REST_S = 600.0
"""So long a pod has run before it is moved, for the first time or again."""


class Movable:
    """For one job, as things are in the session from here on."""

    def __init__(
        self, fitting: Fitting, everybody: Everybody, job: Job, asked: Amounts, guards: Guards, now_s: float
    ) -> None:
        self._rankings = fitting.rankings
        session = self._session = fitting.session
        self._everybody = everybody
        self._accounts = everybody.accounts
        self._job = job
        self._asked = asked
        self._judged_by = primary(asked)
        self._guards = guards
        self._now_s = now_s
        self._before = set(session.evicted)
        self._might: dict[str, bool] = {}
        """By shape."""

    @property
    def units(self) -> Sequence[Unit]:
        return self._everybody.units

    def gone(self) -> list[PlacedPod]:
        """For the job: those that are moved, and those that are going anyway."""
        return [pod for key, pod in self._session.evicted.items() if key not in self._before]

    def moved(self) -> list[str]:
        return [pod.key for pod in self.gone() if not pod.terminating]

    def stand_in(self, key: str) -> PodRequest:
        """The pod as it is made anew, for as long as it is not."""
        pod = self._guards.anew(key)
        assert pod is not None
        return replace(pod, key=stand_in_key(key))

    def may_go(self, unit: Unit) -> bool:
        at_once = self._everybody.may_go(unit, self._job.spec, self._guards)
        if at_once is not None:
            return at_once
        assert unit.spec is not None
        pods = self._session.snapshot.pods
        if unit.spec.priority > self._job.spec.priority:
            # To be moved is a disturbance, though a small one: nobody suffers it for who matters less.
            return False
        since_s = max(pods[key].since_s for key in unit.pods)
        safe_s = safe_until_s(
            self._accounts.tree,
            unit.queue,
            since_s,
            unit.spec.minimum_runtime_s,
            by_another_queue=unit.queue != (self._job.spec.queue or DEFAULT),
        )
        return (
            max(safe_s, since_s + AT_REST_S) <= self._now_s
            and all(self._might_land(key) for key in unit.pods)
            and self.is_little(unit)
            and not self._guards.refusal(unit.pods, self._session.disrupted)
        )

    def _might_land(self, key: str) -> bool:
        """Whether there is room for the pod anywhere: for nearly all there is none, and this is quick to say."""
        pod = self._guards.anew(key)
        if pod is None:
            return False
        shape, snapshot = pod.shape, self._session.snapshot
        might = self._might.get(shape.signature)
        if might is None:
            made = snapshot.makes_devices and asks(shape)
            might = made or self._rankings.of(shape).best(snapshot) is not None
            self._might[shape.signature] = might
        return might

    def is_little(self, more: Unit | None = None) -> bool:
        """Whether what is moved, with one more unit, is little enough."""
        pods = dict.fromkeys((*self.moved(), *(more.pods if more is not None else ())))
        units = {
            unit.holding.key: unit
            for key in pods
            for unit in self._units_of.get(key, ())
            if all(one in pods for one in unit.pods)
        }
        lost_gpu_s = sum(
            unit.lost.gpu_s
            for unit in units.values()
            if any(self._guards.loses_work(key) for key in unit.pods)
        )
        return (
            len(pods) <= MOST_PODS
            and self.amount(pods) <= self._asked.get(self._judged_by, 0)
            and lost_gpu_s <= MOST_LOST_GPU_HOURS * 3600
        )

    @cached_property
    def _units_of(self) -> Mapping[str, list[Unit]]:
        """By pod."""
        found: dict[str, list[Unit]] = {}
        for unit in self.units:
            for key in unit.pods:
                found.setdefault(key, []).append(unit)
        return found

    def amount(self, pods: Iterable[str]) -> int:
        """What they take together of what the job is judged by."""
        return sum(self._counts(key).get(self._judged_by, 0) for key in pods)

    def _counts(self, key: str) -> Amounts:
        return self._accounts.counted(self.stand_in(key).shape)

    def claims_stay(self) -> bool:
        """Whether all in the queues of those who move have the same claims afterwards, when these are the last in their classes, and
        the job is there too."""
        moved = set(self.moved())
        units = [unit for unit in self.units if not unit.going and not moved.isdisjoint(unit.pods)]
        last = {unit.holding.key for unit in units}
        spec = self._job.spec
        for queue in {unit.queue for unit in units}:
            before = self._everybody.holdings(queue)
            after = [replace(one, since_s=inf) if one.key in last else one for one in before]
            if queue == (spec.queue or DEFAULT):
                job = f"{spec.key}?"
                after.append(Holding(job, job, self._asked, spec.priority, spec.preemptible, self._now_s))
            was, will = self._everybody.claims(queue, before), self._everybody.claims(queue, after)
            if any(will[one.key] is not was[one.key] for one in before):
                return False
        return True
