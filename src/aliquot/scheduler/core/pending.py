"""The jobs: those that wait, wholly or in part, in the order of a policy, those that are alike in one line; and those that run.

In lines, because what one job learns holds for all that are like it: when the first finds no room, the cycle passes over
the rest without asking. Jobs that have begun stand apart: those that lost members and are below their minimum come before
all others, since their room was theirs a moment ago; extras come after.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import Group, JobSpec, extras, lacking, least_pods
from aliquot.scheduler.core.pod import Amounts, PlacedPod, PodRequest
from aliquot.scheduler.core.queues.line import Line, Rank
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.reasons import Reason

Alike: TypeAlias = tuple[object, ...]
"""Jobs of one are interchangeable but for their rank."""


class Job(Struct):
    spec: JobSpec
    waiting: dict[str, dict[str, PodRequest]] = {}
    """By leaf, by the pod's key; no leaf without pods."""
    placed: dict[str, str] = {}
    """Pods that have a node, or have been decided on, to their leaf."""
    succeeded: dict[str, str] = {}
    """Pods that have ended well, to their leaf: nobody has to take their place."""
    leaving: dict[str, float] = {}
    """Those of `placed` that are on their way out, and by when they have to be: others may take their place."""
    was_whole: bool = False
    """It has been at its minimum, as that is now."""
    _unsorted: frozenset[str] = frozenset()
    """Leaves whose waiting pods are not in the order of their keys."""
    _there: Counter[str] | None = None
    """Kept in step from when it is first asked for."""
    _least: int | None = None
    """Pods that it needs, once that is asked for."""

    @property
    def here(self) -> dict[str, int]:
        """Pods that wait, by leaf."""
        return {leaf: len(pods) for leaf, pods in self.waiting.items()}

    @property
    def there(self) -> Mapping[str, int]:
        """Pods that are placed and stay, or have ended well, by leaf."""
        if self._there is None:
            stay = (leaf for key, leaf in self.placed.items() if key not in self.leaving)
            self._there = Counter((*stay, *self.succeeded.values()))
        return self._there

    @property
    def has_begun(self) -> bool:
        return len(self.placed) > len(self.leaving) or bool(self.succeeded)

    @property
    def is_below(self) -> bool:
        """Some of its pods are there, and fewer than it takes."""
        return self.spec.root is not None and self.has_begun and not self._is_whole(self.spec.root)

    def _is_whole(self, root: Group) -> bool:
        if self._least is None:
            self._least = least_pods(root)
        count = len(self.placed) - len(self.leaving) + len(self.succeeded)
        return count >= self._least and lacking(root, self.there, {}) == {}

    def become(self, spec: JobSpec) -> None:
        before, self.spec = self.spec, spec
        if before.root is not spec.root and before.root != spec.root:
            self.was_whole, self._least = False, None
            self._note_whole()

    def _note_whole(self) -> None:
        if not self.was_whole and self.spec.root is not None:
            self.was_whole = self._is_whole(self.spec.root)

    def first(self, leaf: str, count: int) -> list[PodRequest]:
        """Of the leaf's pods that wait, so many by the order of their keys."""
        pods = self.waiting.get(leaf, {})
        if leaf in self._unsorted:
            pods = self.waiting[leaf] = dict(sorted(pods.items()))
            self._unsorted -= {leaf}
        return list(islice(pods.values(), count))

    def wait(self, pod: PodRequest, leaf: str) -> None:
        pods = self.waiting.setdefault(leaf, {})
        if pods and pod.key < next(reversed(pods)):
            self._unsorted |= {leaf}
        pods[pod.key] = pod

    def place(self, key: str, leaf: str) -> None:
        self.placed[key] = leaf
        if self._there is not None:
            self._there[leaf] += 1
        self._note_whole()

    def succeed(self, key: str, leaf: str) -> None:
        self.succeeded[key] = leaf
        if self._there is not None:
            self._there[leaf] += 1
        self._note_whole()

    def go(self, key: str, by_s: float) -> None:
        """The pod, which is placed, is on its way out."""
        if key not in self.leaving and self._there is not None:
            self._there[self.placed[key]] -= 1
        self.leaving[key] = by_s

    def stay(self, key: str) -> None:
        """It is not, after all."""
        if self.leaving.pop(key, None) is not None and self._there is not None:
            self._there[self.placed[key]] += 1

    def leave(self, key: str) -> bool:
        """Returns whether the pod waited, was placed or had ended well."""
        for name, pods in self.waiting.items():
            if pods.pop(key, None) is not None:
                if not pods:
                    del self.waiting[name]
                    self._unsorted -= {name}
                return True
        if key in self.placed:
            self.stay(key)
        for pods_there in (self.placed, self.succeeded):
            leaf = pods_there.pop(key, None)
            if leaf is not None:
                if self._there is not None:
                    self._there[leaf] -= 1
                if pods_there is self.succeeded:
                    # Somebody tidied up: that is no loss.
                    self.was_whole = False
                    self._note_whole()
                return True
        return False

    @property
    def refusal(self) -> Reason | None:
        """Why it is not placed, whatever room there is: it asks for nothing then. What has begun comes after nobody any more."""
        spec = self.spec
        return spec.refusal or (None if spec.waits is None or self.has_begun else spec.waits)

    def lacks(self) -> dict[str, int] | None:
        """How many pods of which leaf more it takes; as `lacking`."""
        if self.spec.root is None:
            return {"": 1} if self.waiting else {}
        return lacking(self.spec.root, self.there, self.here)

    def alike(self) -> Alike:
        spec = self.spec
        if spec.root is None:
            (pod,) = self.waiting[""].values()
            return spec.queue, spec.preemptible, spec.evicts, spec.refusal, spec.waits, pod.shape.signature
        shapes = Counter(
            (leaf, pod.shape.signature) for leaf, pods in self.waiting.items() for pod in pods.values()
        )
        why = spec.refusal, spec.waits
        return spec.queue, spec.preemptible, spec.evicts, spec.root, why, tuple(sorted(shapes.items()))


def alone(pod: PodRequest) -> JobSpec:
    """The job of a pod that is one by itself."""
    return JobSpec(pod.key, priority=pod.priority, created_s=pod.created_s)


class Pending:
    """Keeps `accounts` in step."""

    def __init__(self, order: Line, accounts: Accounts | None = None) -> None:
        self.order = order
        self.accounts = Accounts() if accounts is None else accounts
        self._jobs: dict[str, Job] = {}
        self.jobs: Mapping[str, Job] = MappingProxyType(self._jobs)
        """All that have a pod: it waits, is placed, or has ended well."""
        self._job_of: dict[str, str] = {}
        """Of every pod of a job that is not alone in it."""
        self._pods: dict[str, PodRequest] = {}
        self.pods: Mapping[str, PodRequest] = MappingProxyType(self._pods)
        """Those that wait."""
        self._lines: dict[Alike, list[Rank]] = {}
        """Jobs that have not begun; never empty. A Rank ends in the job's key."""
        self._firsts: dict[Alike, dict[str, Rank]] = {}
        """Of lines that somebody asked about, since they changed last."""
        self._in_line: dict[str, tuple[Alike, Rank]] = {}
        """Of all jobs of which a pod waits."""
        self._begun: dict[Alike, Rank] = {}
        """Jobs of which some pods are placed, or have ended well, and some wait: like themselves alone."""
        self._below: dict[str, None] = {}
        """Jobs of which some pods are there, and fewer than it takes."""
        self._changed: dict[str, None] = {}
        """Jobs whose place is to be found anew, once somebody looks."""
        self._lacking: set[str] = set()
        """Jobs of which too few pods exist, as of when their place was found last."""
        self._newcomers: set[str] = set()
        """Pods that wait and that nobody has been told of, as they wait now."""
        self._with_newcomers: dict[Alike, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def job_of(self, pod: str) -> Job | None:
        return self._jobs.get(self._job_of.get(pod, pod))

    def alike_of(self, job: str) -> Alike | None:
        """What the job is in line with; None: none of its pods waits."""
        self._settle()
        where = self._in_line.get(job)
        return where[0] if where is not None else None

    @property
    def lines(self) -> Mapping[Alike, list[Rank]]:
        self._settle()
        return MappingProxyType(self._lines)

    def firsts(self, alike: Alike) -> Mapping[str, Rank]:
        """The first of the line of each user who has a job in it."""
        found = self._firsts.get(alike)
        if found is None:
            # Of those of a user the last one stays, and that is the first.
            jobs, line = self._jobs, self._lines[alike]
            found = self._firsts[alike] = {jobs[rank[-1]].spec.user: rank for rank in reversed(line)}
        return found

    @property
    def begun(self) -> Mapping[Alike, Rank]:
        self._settle()
        return MappingProxyType(self._begun)

    @property
    def below(self) -> Collection[str]:
        """Keys of the jobs that have begun and are below their minimum."""
        self._settle()
        return self._below.keys()

    def put(self, pod: PodRequest, spec: JobSpec | None = None, leaf: str = "") -> bool:
        """A pod waits; it takes the place of what was known of it. Without `spec` it is a job of its own. Returns whether that
        was news."""
        if spec is None:
            spec = alone(pod)
        job = self._jobs.get(spec.key)
        if (
            job is not None
            and self._pods.get(pod.key) == pod
            and job.spec == spec
            and pod.key in job.waiting.get(leaf, ())
        ):
            return False
        job = self._move(pod.key, spec)
        job.wait(pod, leaf)
        self._pods[pod.key] = pod
        if job.refusal is None:
            self.accounts.wait(pod.key, spec, pod.shape)
        else:
            self.accounts.forget(pod.key)  # it asks for nothing
        if spec.root is not None:
            self._job_of[pod.key] = spec.key
        self._newcomers.add(pod.key)
        self._changed[spec.key] = None
        return True

    def hold(
        self,
        pod: PodRequest,
        spec: JobSpec | None = None,
        leaf: str = "",
        *,
        leaves_by_s: float | None = None,
        placed: PlacedPod | None = None,
    ) -> None:
        """The pod has a node, or has been decided on. `leaves_by_s`: it is being deleted, and has to have ended by then.
        `placed`: where, and what it has there; without that it counts for what it asks."""
        if spec is None:
            spec = alone(pod)
        key, job = pod.key, self._jobs.get(spec.key)
        if (
            job is not None
            and job.placed.get(key) == leaf
            and job.leaving.get(key) == leaves_by_s
            and job.spec == spec
            and key not in self._pods
            and self.accounts.is_booked(key, placed)
        ):
            return
        job = self._move(key, spec)
        was_refused = job.waiting and job.refusal is not None
        job.place(key, leaf)
        if leaves_by_s is not None:
            job.go(key, leaves_by_s)
        if was_refused:
            self._ask(job)
        self.accounts.place(key, spec, pod.shape, placed)
        if spec.root is not None:
            self._job_of[key] = spec.key
        self._changed[spec.key] = None

    def succeed(self, key: str, spec: JobSpec, leaf: str) -> None:
        """The pod has ended well, and counts as there until it is discarded. Of a job of its own nothing is left."""
        if spec.root is None:
            self.discard(key)
            return
        job = self._jobs.get(spec.key)
        if job is not None and job.succeeded.get(key) == leaf and job.spec == spec:
            return
        job = self._move(key, spec)
        was_refused = job.waiting and job.refusal is not None
        job.succeed(key, leaf)
        self.accounts.forget(key)
        if was_refused:
            self._ask(job)
        self._job_of[key] = spec.key
        self._changed[spec.key] = None

    def evict(self, key: str) -> None:
        """The pod, which is placed, is to go: to its job it is gone from now on. Taken back by `keep`, or when it is held again."""
        job = self.job_of(key)
        if job is not None and key in job.placed and key not in job.leaving:
            job.go(key, inf)
            self._changed[job.spec.key] = None

    def keep(self, key: str) -> None:
        job = self.job_of(key)
        if job is not None and job.leaving.get(key) == inf:
            job.stay(key)
            self._changed[job.spec.key] = None

    def discard(self, key: str) -> None:
        """The pod is gone, or has failed, or is somebody else's."""
        job = self._left(key)
        if job is not None:
            self.accounts.forget(key)
            self._drop_if_empty(job)

    def asked(self, job: Job) -> Amounts:
        """What the job would be given next: what it lacks, or one of its extras."""
        lacks = job.lacks()
        if not lacks and job.spec.root is not None:
            lacks = next(iter(extras(job.spec.root, job.there, job.here)), None)
        return self.amounts(job, lacks or {})

    def amounts(self, job: Job, lacks: Mapping[str, int]) -> Amounts:
        """What so many of its waiting pods count for together, by leaf."""
        total: Amounts = {}
        for leaf, count in lacks.items():
            for pod in job.first(leaf, count):
                total = together(total, self.accounts.counted(pod.shape))
        return total

    def newcomers(self, alike: Alike) -> list[str]:
        """Keys of the pods of such jobs that wait and were not among an earlier answer."""
        self._settle()
        jobs = self._with_newcomers.pop(alike, ())
        found = [key for name in jobs for key in self._newcomers_of(self._jobs[name])]
        self._newcomers.difference_update(found)
        return found

    def pods_of(self, alike: Alike) -> list[PodRequest]:
        """Those that wait, of all such jobs."""
        jobs = self.jobs_of(alike)
        return [pod for job in jobs for pods in job.waiting.values() for pod in pods.values()]

    def jobs_of(self, alike: Alike) -> list[Job]:
        """All such jobs of which a pod waits."""
        return [self._jobs[rank[-1]] for rank in self.ranks_of(alike)]

    def ranks_of(self, alike: Alike) -> Sequence[Rank]:
        """Of all such jobs of which a pod waits, in order."""
        self._settle()
        begun = self._begun.get(alike)
        return self._lines.get(alike, ()) if begun is None else (begun,)

    def _ask(self, job: Job) -> None:
        """It has begun: what its others were to wait for counts no more."""
        if job.refusal is None:
            for pods in job.waiting.values():
                for pod in pods.values():
                    self.accounts.wait(pod.key, job.spec, pod.shape)

    def _move(self, key: str, spec: JobSpec) -> Job:
        """Out of the job in which the pod is, and the job that it goes to."""
        before = self._left(key)
        job = self._jobs.get(spec.key)
        if job is None:
            job = self._jobs[spec.key] = Job(spec)
        elif job.spec is not spec:
            job.become(spec)
        if before is not None and before is not job:
            self._drop_if_empty(before)
        return job

    def _left(self, key: str) -> Job | None:
        """The job in which the pod was until now."""
        job = self._jobs.get(self._job_of.pop(key, key))
        if job is None or not job.leave(key):
            return None
        if self._pods.pop(key, None) is not None:
            self._newcomers.discard(key)
        self._changed[job.spec.key] = None
        return job

    def _drop_if_empty(self, job: Job) -> None:
        if not (job.waiting or job.placed or job.succeeded):
            del self._jobs[job.spec.key]

    def _settle(self) -> None:
        gone: dict[Alike, list[Rank]] = {}
        come: dict[Alike, list[Rank]] = {}
        for name in self._changed:
            where = self._in_line.pop(name, None)
            if where is not None:
                alike, rank = where
                self._forget_newcomers(alike, name)
                if self._begun.pop(alike, None) is None:
                    gone.setdefault(alike, []).append(rank)
            job = self._jobs.get(name)
            if job is not None and job.is_below:
                self._below[name] = None
            else:
                self._below.pop(name, None)
            if job is None or not job.waiting:
                self._lacking.discard(name)
                continue
            rank = self.order.rank(job.spec)
            if job.has_begun:
                alike = (name,)
                self._begun[alike] = rank
            else:
                alike = job.alike()
                come.setdefault(alike, []).append(rank)
            self._in_line[name] = alike, rank
            if job.spec.root is not None:
                lacked = name in self._lacking
                lacks = job.lacks() is None
                (self._lacking.add if lacks else self._lacking.discard)(name)
                if where is not None and where[0] != alike and not (lacked and lacks):
                    # What the others of it were told is of another line. While more are made the last hear how many there are.
                    self._newcomers.update(key for pods in job.waiting.values() for key in pods)
            if not all(map(self._newcomers.isdisjoint, job.waiting.values())):
                self._with_newcomers.setdefault(alike, {})[name] = None
        self._changed.clear()
        for alike, ranks in gone.items():
            self._firsts.pop(alike, None)
            _take_out(self._lines[alike], ranks)
        for alike, ranks in come.items():
            self._firsts.pop(alike, None)
            _put_in(self._lines.setdefault(alike, []), ranks)
        for alike in gone:
            if not self._lines[alike]:
                del self._lines[alike]

    def _newcomers_of(self, job: Job) -> Iterator[str]:
        return (key for pods in job.waiting.values() for key in pods if key in self._newcomers)

    def _forget_newcomers(self, alike: Alike, name: str) -> None:
        newcomers = self._with_newcomers.get(alike)
        if newcomers is not None:
            newcomers.pop(name, None)
            if not newcomers:
                del self._with_newcomers[alike]


_MANY = 32
"""So many at once, and a look at the whole line is cheaper than to find each its place."""


def _take_out(line: list[Rank], ranks: list[Rank]) -> None:
    ranks.sort()
    first = bisect_left(line, ranks[0])
    if line[first : first + len(ranks)] == ranks:
        # As a rule it is the head of the line that went, all at once.
        del line[first : first + len(ranks)]
    elif len(ranks) < _MANY:
        for rank in ranks:
            del line[bisect_left(line, rank)]
    else:
        gone = set(ranks)
        line[:] = [rank for rank in line if rank not in gone]


def _put_in(line: list[Rank], ranks: list[Rank]) -> None:
    if len(ranks) < _MANY:
        for rank in ranks:
            insort(line, rank)
    else:
        line += ranks
        line.sort()
