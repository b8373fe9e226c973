"""Memberships kept up with an API in memory, on virtual time: what is asked of it, and what is heard when."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.resources import (
    CRONJOBS,
    JOBS,
    PODGROUPS,
    PODS,
    PRIORITYCLASSES,
    REPLICASETS,
    Resource,
    key,
)
from aliquot.scheduler.grouping.doors import coscheduling, upstream
from aliquot.scheduler.grouping.membership import Membership, membership
from aliquot.scheduler.groups import Groups
from tests.kube.fake_api import FakeApi, Json, Refused, client_of, virtual
from tests.scheduler.grouping.objects import shown

PYTORCHJOBS = Resource("kubeflow.org", "v1", "pytorchjobs", "PyTorchJob")
LWS = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
BUILT_IN = {PODS, JOBS, CRONJOBS, REPLICASETS, STATEFULSETS, PRIORITYCLASSES}
WORKER = {"training.kubeflow.org/replica-type": "worker"}
SETTLED_S = 1.0
RARELY_S = 700.0
"""Longer than a kind that was not there is left alone."""


class World:
    def __init__(self) -> None:
        self.api = FakeApi()
        self.served = {*BUILT_IN, PODGROUPS, PYTORCHJOBS, LWS}
        self.forbidden: set[Resource] = set()
        self.is_down = False
        self.api.fault = self._fault
        client = client_of(self.api)
        self.pods = Cache(client, PODS, Pod)
        self.groups = Groups(client, rng=random.Random(1), pods=self.pods)
        self.heard: list[frozenset[str]] = []
        self.groups.subscribe(self.heard.append)

    async def _fault(self, _method: str, path: str) -> None:
        if self.is_down and not path.endswith("/pods"):
            raise Refused(500, "InternalError", "down")
        plural = next(part for part in path.split("/") if part in self._plurals())
        for resource in self.forbidden:
            if resource.plural == plural and path.startswith(f"/apis/{resource.group}/"):
                raise Refused(403, "Forbidden", "not yours to see")
        if not any(
            path.startswith(f"{resource.path().rsplit('/', 1)[0]}/") and resource.plural == plural
            for resource in self.served
        ):
            raise Refused(404, "NotFound", "the server could not find the requested resource")

    def _plurals(self) -> set[str]:
        return {resource.plural for resource in self.served} | {
            "podgroups",
            "compositepodgroups",
            "rayclusters",
        }

    def put(self, resource: Resource, name: str, **fields: Any) -> Json:
        metadata = {"name": name, "namespace": "a"} | fields.pop("metadata", {})
        if not resource.namespaced:
            del metadata["namespace"]
        identity = {"apiVersion": resource.api_version, "kind": resource.kind}
        return self.api.put(resource, {**identity, "metadata": metadata, **fields})

    def pod(
        self, name: str, owner: Json | None = None, labels: dict[str, str] | None = None, **spec: Any
    ) -> None:
        metadata: Json = {"labels": labels or {}}
        if owner is not None:
            metadata["ownerReferences"] = [reference(owner)]
        self.put(PODS, name, metadata=metadata, spec=spec)

    def membership(self, name: str) -> Membership | None:
        pod = self.pods.get(f"a/{name}")
        assert pod is not None
        return self.groups.membership(pod)

    async def settled(self, name: str) -> Membership:
        """Asked, and asked again when it is known."""
        self.membership(name)
        await asyncio.sleep(SETTLED_S)
        found = self.membership(name)
        assert found is not None
        return found

    def reads(self, resource: Resource) -> list[str]:
        """Paths of GETs of one object of the kind."""
        prefix = f"{resource.path()[: -len(resource.plural)]}namespaces/a/{resource.plural}/"
        return [
            path for method, path, _, _ in self.api.requests if method == "GET" and path.startswith(prefix)
        ]

    def collection_requests(self, resource: Resource) -> int:
        return sum(1 for _, path, _, _ in self.api.requests if path == resource.path())


def reference(obj: Json) -> Json:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
    }


def relabelled(obj: Json, **labels: str) -> Json:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}}}


def pytorch(workers: Any) -> Json:
    return {"pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": workers}}}


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(world.pods.run()), asyncio.create_task(world.groups.run())]
    try:
        await asyncio.sleep(SETTLED_S)
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def simulate(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        async with running(world):
            await scenario(world)

    virtual(main())


def refusal(found: Membership | None) -> str:
    return found.job.refusal.detail if found is not None and found.job.refusal is not None else ""


def tree(found: Membership | None) -> str:
    return shown(found.job.root) if found is not None else "?"


def test_thousands_of_pods_cost_one_watch_of_their_owners_kind_and_no_read() -> None:
    async def scenario(world: World) -> None:
        job = world.put(PYTORCHJOBS, "mnist", spec=pytorch(2000))
        for number in range(2000):
            world.pod(f"w{number}", job, WORKER)
        await asyncio.sleep(SETTLED_S)
        names = [f"w{number}" for number in range(2000)]
        assert {world.membership(name) for name in names} == {None}
        await asyncio.sleep(SETTLED_S)
        assert {tree(world.membership(name)) for name in names} == {"2[master:1 worker:2000]"}
        assert world.heard == [frozenset(f"a/{name}" for name in names)]
        assert world.reads(PYTORCHJOBS) == []
        assert world.collection_requests(PYTORCHJOBS) == 1

    simulate(scenario)


def test_an_owner_that_is_read_once_costs_one_read_for_all_of_its_pods() -> None:
    async def scenario(world: World) -> None:
        cron = world.put(CRONJOBS, "nightly", metadata={"labels": {"aliquot.dev/queue": "night"}})
        for run in range(3):
            job = world.put(JOBS, f"run{run}", metadata={"ownerReferences": [reference(cron)]}, spec={})
            for number in range(20):
                world.pod(f"p{run}-{number}", job)
        await asyncio.sleep(SETTLED_S)
        names = [f"p{run}-{number}" for run in range(3) for number in range(20)]
        for name in names:
            world.membership(name)
        await asyncio.sleep(SETTLED_S)
        found = [world.membership(name) for name in names]
        assert {(one.job.key, one.job.queue) for one in found if one is not None} == {
            (f"a/job.batch:run{run}", "night") for run in range(3)
        }
        assert world.reads(CRONJOBS) == ["/apis/batch/v1/namespaces/a/cronjobs/nightly"]

    simulate(scenario)


def test_a_changed_owner_is_heard_of_and_one_that_says_the_same_is_not() -> None:
    async def scenario(world: World) -> None:
        job = world.put(PYTORCHJOBS, "mnist", spec=pytorch(2))
        world.pod("w", job, WORKER)
        await asyncio.sleep(SETTLED_S)
        assert tree(await world.settled("w")) == "2[master:1 worker:2]"
        world.heard.clear()
        world.api.put(PYTORCHJOBS, {**job, "status": {"conditions": [{"type": "Created"}]}})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == []
        world.api.put(PYTORCHJOBS, {**job, "spec": pytorch(3)})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == [frozenset({"a/w"})]
        assert tree(world.membership("w")) == "2[master:1 worker:3]"

    simulate(scenario)


def test_an_owner_that_comes_after_its_pod() -> None:
    """As when one watch trails the other."""

    async def scenario(world: World) -> None:
        soon = {
            "apiVersion": "kubeflow.org/v1",
            "kind": "PyTorchJob",
            "metadata": {"name": "mnist", "uid": f"uid-{world.api.version + 2}"},
        }
        world.pod("w", soon, WORKER)
        await asyncio.sleep(SETTLED_S)
        assert (
            refusal(await world.settled("w")) == "how many pods its PyTorchJob needs is not known: it is gone"
        )
        assert len(world.reads(PYTORCHJOBS)) == 1
        world.put(PYTORCHJOBS, "mnist", spec=pytorch(2))
        await asyncio.sleep(SETTLED_S)
        assert world.heard[-1] == frozenset({"a/w"})
        assert tree(world.membership("w")) == "2[master:1 worker:2]"

    simulate(scenario)


def test_what_a_deleted_owner_said_holds_until_its_pods_are_gone() -> None:
    async def scenario(world: World) -> None:
        job = world.put(PYTORCHJOBS, "mnist", spec=pytorch(2))
        world.pod("w", job, WORKER)
        await asyncio.sleep(SETTLED_S)
        await world.settled("w")
        world.heard.clear()
        world.api.remove(PYTORCHJOBS, "a/mnist")
        again = world.put(PYTORCHJOBS, "mnist", spec=pytorch(5))
        world.pod("new", again, WORKER)
        await asyncio.sleep(SETTLED_S)
        assert tree(world.membership("w")) == "2[master:1 worker:2]"
        world.put(PODS, "w", metadata={"labels": {**WORKER, "x": "y"}, "ownerReferences": [reference(job)]})
        await asyncio.sleep(SETTLED_S)
        assert tree(world.membership("w")) == "2[master:1 worker:2]"
        assert world.heard == []
        assert world.reads(PYTORCHJOBS) == []

    simulate(scenario)


def test_an_owner_that_may_not_be_seen_is_said_to_be_and_found_when_it_may() -> None:
    async def scenario(world: World) -> None:
        world.forbidden = {PYTORCHJOBS, CRONJOBS}
        job = world.put(PYTORCHJOBS, "mnist", spec=pytorch(2))
        cron = world.put(CRONJOBS, "nightly", metadata={"labels": {"aliquot.dev/queue": "night"}})
        run = world.put(JOBS, "run", metadata={"ownerReferences": [reference(cron)]}, spec={})
        world.pod("w", job, WORKER)
        world.pod("p", run)
        await asyncio.sleep(SETTLED_S)
        assert refusal(await world.settled("w")).endswith(
            "whose role needs get, list and watch of pytorchjobs.kubeflow.org (deploy/roles.yaml)"
        )
        assert world.reads(PYTORCHJOBS) == []
        found = await world.settled("p")
        assert (found.job.queue, refusal(found)) == ("", "")
        world.forbidden = set()
        await asyncio.sleep(RARELY_S)
        assert tree(world.membership("w")) == "2[master:1 worker:2]"
        found = await world.settled("p")
        assert found.job.queue == "night"
        assert {name for heard in world.heard for name in heard} >= {"a/w", "a/p"}

    simulate(scenario)


def test_pods_of_a_replicaset_that_may_not_be_seen_stand_for_themselves() -> None:
    async def scenario(world: World) -> None:
        world.forbidden = {REPLICASETS}
        world.pod("p", world.put(REPLICASETS, "web"))
        await asyncio.sleep(SETTLED_S)
        found = await world.settled("p")
        assert (found.job.key, refusal(found)) == ("a/p", "")

    simulate(scenario)


def test_an_owner_that_cannot_be_read_is_named_with_the_field() -> None:
    async def scenario(world: World) -> None:
        job = world.put(PYTORCHJOBS, "mnist", spec=pytorch("many"))
        world.pod("w", job, WORKER)
        await asyncio.sleep(SETTLED_S)
        assert refusal(await world.settled("w")) == (
            "how many pods its PyTorchJob needs is not known: "
            "Expected `int | null`, got `str` - at `$.spec.pytorchReplicaSpecs[...].replicas`"
        )
        world.api.put(PYTORCHJOBS, {**job, "spec": pytorch(2)})
        await asyncio.sleep(SETTLED_S)
        assert tree(world.membership("w")) == "2[master:1 worker:2]"

    simulate(scenario)


def test_nothing_is_guessed_while_the_api_does_not_answer() -> None:
    async def scenario(world: World) -> None:
        cron = world.put(CRONJOBS, "nightly")
        world.is_down = True
        world.pod("p", world.put(JOBS, "run", metadata={"ownerReferences": [reference(cron)]}, spec={}))
        await asyncio.sleep(SETTLED_S)
        world.membership("p")
        await asyncio.sleep(300)
        assert world.membership("p") is None
        world.is_down = False
        await asyncio.sleep(120)
        assert world.heard == [frozenset({"a/p"})]
        found = world.membership("p")
        assert found is not None and found.job.key == "a/job.batch:run"

    simulate(scenario)


def test_our_group_is_followed_but_not_what_is_written_to_its_status() -> None:
    async def scenario(world: World) -> None:
        group = world.put(PODGROUPS, "train", spec={"minMember": 2})
        for name in ("p", "q"):
            world.pod(name, labels={"aliquot.dev/pod-group": "train"})
        await asyncio.sleep(SETTLED_S)
        assert [tree(world.membership(name)) for name in ("p", "q")] == ["2", "2"]
        world.api.put(PODGROUPS, {**group, "status": {"phase": "Pending"}})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == []
        world.api.put(PODGROUPS, {**group, "spec": {"minMember": 1}})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == [frozenset({"a/p", "a/q"})]
        assert tree(world.membership("p")) == "1"
        world.api.remove(PODGROUPS, "a/train")
        await asyncio.sleep(SETTLED_S)
        assert world.heard[1:] == [frozenset({"a/p", "a/q"})]
        assert refusal(world.membership("p")).startswith("PodGroup a/train does not exist: create it")

    simulate(scenario)


def test_a_group_that_comes_after_its_pods() -> None:
    async def scenario(world: World) -> None:
        world.pod("p", labels={"aliquot.dev/pod-group": "train"})
        await asyncio.sleep(SETTLED_S)
        assert refusal(world.membership("p")).startswith("PodGroup a/train does not exist: create it")
        world.put(PODGROUPS, "other", spec={"minMember": 9})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == []
        world.put(PODGROUPS, "train", spec={"minMember": 2})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == [frozenset({"a/p"})]
        assert tree(world.membership("p")) == "2"

    simulate(scenario)


@pytest.mark.parametrize(
    ("resource", "fields", "labels", "spec"),
    [
        (PODGROUPS, {"spec": {"minMember": 2}}, {"aliquot.dev/pod-group": "train"}, {}),
        (coscheduling.PODGROUPS, {"spec": {"minMember": 2}}, {"scheduling.x-k8s.io/pod-group": "train"}, {}),
        (
            Resource("scheduling.k8s.io", "v1alpha2", "podgroups", "PodGroup"),
            {"spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}},
            {},
            {"schedulingGroup": {"podGroupName": "train"}},
        ),
    ],
    ids=["ours", "coscheduling", "kubernetes 1.36"],
)
def test_a_kind_that_is_installed_later_opens_its_door(
    resource: Resource, fields: Json, labels: dict[str, str], spec: Json
) -> None:
    async def scenario(world: World) -> None:
        world.served.discard(PODGROUPS)
        # The door was open for a moment, when the world began.
        await asyncio.sleep(RARELY_S)
        world.pod("p", labels=labels, **spec)
        await asyncio.sleep(SETTLED_S)
        found = await world.settled("p")
        assert (found.job.key, refusal(found)) == ("a/p", "")
        world.served.add(resource)
        world.put(resource, "train", **fields)
        await asyncio.sleep(RARELY_S)
        assert world.heard == [frozenset({"a/p"})]
        found = await world.settled("p")
        assert found.job.key == f"a/podgroup.{resource.group}:train"
        world.served.discard(resource)
        world.api.end_watches()
        await asyncio.sleep(60)
        assert world.heard[1:] == [frozenset({"a/p"})]
        found = await world.settled("p")
        assert (found.job.key, refusal(found)) == ("a/p", "")

    simulate(scenario)


def test_a_member_of_a_tree_that_comes_later_is_heard_of() -> None:
    async def scenario(world: World) -> None:
        groups = Resource("scheduling.k8s.io", "v1beta1", "podgroups", "PodGroup")
        world.served |= {groups, upstream.COMPOSITES}
        await asyncio.sleep(RARELY_S)
        gang = {"schedulingPolicy": {"gang": {"minCount": 2}}, "parentCompositePodGroupName": "both"}
        world.put(upstream.COMPOSITES, "both", spec={"schedulingPolicy": {"gang": {"minGroupCount": 2}}})
        world.put(groups, "one", spec=gang)
        world.pod("p", schedulingGroup={"podGroupName": "one"})
        await asyncio.sleep(SETTLED_S)
        assert tree(world.membership("p")) == "2[one:2]"
        world.put(groups, "other", spec=gang)
        await asyncio.sleep(SETTLED_S)
        assert world.heard == [frozenset({"a/p"})]
        assert tree(world.membership("p")) == "2[one:2 other:2]"

    simulate(scenario)


def test_what_pods_of_a_job_say_differently_counts_for_all_of_them() -> None:
    async def scenario(world: World) -> None:
        job = world.put(JOBS, "sweep", spec={"parallelism": 2})
        world.pod("low", job, priority=1)
        world.pod("high", job, priority=9)
        await asyncio.sleep(SETTLED_S)
        assert (await world.settled("low")).job.priority == 1
        world.heard.clear()
        assert (await world.settled("high")).job.priority == 9
        assert world.heard == [frozenset({"a/low"})]
        assert (await world.settled("low")).job.priority == 9
        world.api.remove(PODS, "a/high")
        await asyncio.sleep(SETTLED_S)
        assert world.heard[1:] == [frozenset({"a/low"})]
        assert (await world.settled("low")).job.priority == 1

    simulate(scenario)


def test_a_minimum_that_rests_on_a_status_follows_it() -> None:
    async def scenario(world: World) -> None:
        metadata = {"annotations": {"aliquot.dev/min-member": "4"}}
        job = world.put(JOBS, "run", metadata=metadata, spec={"completions": 8, "parallelism": 8})
        world.pod("p", job)
        await asyncio.sleep(SETTLED_S)
        assert tree(await world.settled("p")) == "4"
        world.heard.clear()
        world.api.put(JOBS, {**job, "status": {"succeeded": 6}})
        await asyncio.sleep(SETTLED_S)
        assert world.heard == [frozenset({"a/p"})]
        assert tree(world.membership("p")) == "2"

    simulate(scenario)


def test_a_pod_that_goes_over_to_another_group_takes_its_word_along() -> None:
    async def scenario(world: World) -> None:
        for name in ("one", "other"):
            world.put(PODGROUPS, name, spec={"minMember": 1})
        for name, priority in (("low", 1), ("high", 9)):
            world.pod(name, labels={"aliquot.dev/pod-group": "one"}, priority=priority)
        await asyncio.sleep(SETTLED_S)
        assert (await world.settled("low")).job.priority == 1
        assert (await world.settled("high")).job.priority == 9
        assert (await world.settled("low")).job.priority == 9
        group = {"aliquot.dev/pod-group": "other"}
        world.api.put(PODS, relabelled(world.api.objects(PODS)["a/high"], **group))
        await asyncio.sleep(SETTLED_S)
        assert (await world.settled("high")).job.key == "a/podgroup.aliquot.dev:other"
        assert (await world.settled("low")).job.priority == 1

    simulate(scenario)


def test_no_pod_is_looked_at_for_what_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def looked(pod: Pod, *rest: Any) -> Membership:
        looks.append(pod.metadata.name)
        return membership(pod, *rest)

    monkeypatch.setattr("aliquot.scheduler.groups.membership", looked)

    async def scenario(world: World) -> None:
        group = world.put(PODGROUPS, "train", spec={"minMember": 1})
        job = world.put(PYTORCHJOBS, "mnist", spec=pytorch(2))
        run = world.put(JOBS, "run", spec={"completions": 8, "parallelism": 8})
        world.pod("p", labels={"aliquot.dev/pod-group": "train"})
        world.pod("w", job, WORKER)
        world.pod("r", run)
        await asyncio.sleep(SETTLED_S)
        await world.settled("p")
        await world.settled("w")
        await world.settled("r")
        looks.clear()
        world.api.put(JOBS, {**run, "status": {"succeeded": 7}})
        world.api.put(PODGROUPS, {**group, "status": {"phase": "Running"}})
        world.api.put(PYTORCHJOBS, {**job, "status": {"conditions": [{"type": "Running"}]}})
        world.api.put(PODS, {**world.api.objects(PODS)["a/w"], "status": {"phase": "Running"}})
        await world.settled("p")
        await world.settled("w")
        assert looks == []

    simulate(scenario)


def test_the_workers_of_a_leader_are_found_through_it() -> None:
    async def scenario(world: World) -> None:
        lws = world.put(
            LWS, "vllm", spec={"leaderWorkerTemplate": {"size": 3}, "startupPolicy": "LeaderReady"}
        )
        leaders = world.put(STATEFULSETS, "vllm", metadata={"ownerReferences": [reference(lws)]})
        prefix = "leaderworkerset.sigs.k8s.io/"
        world.pod("vllm-0", leaders, {f"{prefix}group-index": "0", f"{prefix}worker-index": "0"})
        await asyncio.sleep(SETTLED_S)
        assert tree(await world.settled("vllm-0")) == "1[leader:1 workers:2]"
        leader = {"apiVersion": "v1", "kind": "Pod", **world.api.objects(PODS)["a/vllm-0"]}
        workers = world.put(STATEFULSETS, "vllm-0", metadata={"ownerReferences": [reference(leader)]})
        world.heard.clear()
        world.pod("vllm-0-1", workers, {f"{prefix}group-index": "0", f"{prefix}worker-index": "1"})
        await asyncio.sleep(SETTLED_S)
        found = await world.settled("vllm-0-1")
        assert (found.leaf, tree(found)) == ("workers", "2[leader:1 workers:2]")
        # With the first worker the whole replica is needed, and its leader hears of it.
        assert world.heard[-1] == frozenset({"a/vllm-0"})
        assert tree(world.membership("vllm-0")) == "2[leader:1 workers:2]"
        # A leader that has just gone is no reason to lose its workers.
        world.api.remove(PODS, "a/vllm-0")
        world.api.put(PODS, relabelled(world.api.objects(PODS)["a/vllm-0-1"], x="y"))
        await asyncio.sleep(SETTLED_S)
        assert tree(world.membership("vllm-0-1")) == "2[leader:1 workers:2]"
        assert world.reads(PODS) == []

    simulate(scenario)


def test_what_nobody_needs_is_forgotten() -> None:
    async def scenario(world: World) -> None:
        cron = world.put(CRONJOBS, "nightly")
        job = world.put(JOBS, "run", metadata={"ownerReferences": [reference(cron)]}, spec={})
        for name in ("p", "q"):
            world.pod(name, job)
        await asyncio.sleep(SETTLED_S)
        await world.settled("p")
        await world.settled("q")
        for name in ("p", "q"):
            world.api.remove(PODS, f"a/{name}")
        await asyncio.sleep(SETTLED_S)
        world.pod("r", job)
        await asyncio.sleep(SETTLED_S)
        await world.settled("r")
        assert len(world.reads(CRONJOBS)) == 2

    simulate(scenario)


class Listener:
    """One who asks when a pod changes and when it hears, and never else."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.known: dict[str, Membership | None] = {}
        world.groups.subscribe(self._heard)
        world.pods.subscribe(self._pod_changed)

    def _heard(self, names: frozenset[str]) -> None:
        for name in names:
            pod = self._world.pods.get(name)
            if pod is not None:
                self.known[name] = self._world.groups.membership(pod)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None:
            self.known[key(new)] = self._world.groups.membership(new)
        elif old is not None:
            self.known.pop(key(old), None)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["pod", "group", "job", "cron", "close", "open", "down", "wait"]),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(CHANGES)
def test_whoever_listens_ends_up_knowing_what_is(changes: list[tuple[str, int, int]]) -> None:
    async def scenario(world: World) -> None:
        listener = Listener(world)
        crons = [world.put(CRONJOBS, f"c{n}") for n in range(3)]
        for what, which, how in changes:
            await change(world, crons, what, which, how)
        world.is_down = False
        # A deleted owner is remembered by those who saw it; a newcomer did not.
        for number in range(3):
            world.pod(f"p{number}", labels={"aliquot.dev/pod-group": f"g{number}"})
        await asyncio.sleep(2 * RARELY_S)
        anew = Groups(client_of(world.api), rng=random.Random(2), pods=world.pods)
        task = asyncio.create_task(anew.run())
        await asyncio.sleep(SETTLED_S)
        for pod in world.pods.values():
            anew.membership(pod)
        await asyncio.sleep(SETTLED_S)
        fresh = {key(pod): anew.membership(pod) for pod in world.pods.values()}
        task.cancel()
        assert None not in fresh.values()
        assert listener.known == fresh

    async def change(world: World, crons: list[Json], what: str, which: int, how: int) -> None:
        match what:
            case "pod":
                owner = world.api.objects(JOBS).get(f"a/j{how}")
                world.pod(f"p{which}", owner, {"aliquot.dev/pod-group": f"g{how}"}, priority=how)
                world.pod(f"q{which}", owner, priority=which)
            case "group" if how:
                world.put(PODGROUPS, f"g{which}", spec={"minMember": how})
            case "group" if f"a/g{which}" in world.api.objects(PODGROUPS):
                world.api.remove(PODGROUPS, f"a/g{which}")
            case "job":
                metadata = {"ownerReferences": [reference(crons[how])]}
                world.put(JOBS, f"j{which}", metadata=metadata, spec={"activeDeadlineSeconds": how + 1})
            case "close":
                world.served.discard(PODGROUPS)
                world.api.end_watches()
            case "open":
                world.served.add(PODGROUPS)
            case "down":
                world.is_down = which == 0
                world.api.end_watches()
            case "wait":
                await asyncio.sleep([0.0, 1.0, RARELY_S][which])

    simulate(scenario)


def test_a_subscriber_that_fails_does_not_keep_others_from_hearing() -> None:
    async def scenario(world: World) -> None:
        def failing(_names: frozenset[str]) -> None:
            raise RuntimeError

        heard: list[frozenset[str]] = []
        world.groups.subscribe(failing)
        stop = world.groups.subscribe(heard.append)
        world.pod("p", world.put(JOBS, "run", spec={}))
        await asyncio.sleep(SETTLED_S)
        await world.settled("p")
        assert heard == [frozenset({"a/p"})]
        stop()
        world.api.put(JOBS, {**world.api.objects(JOBS)["a/run"], "spec": {"activeDeadlineSeconds": 5}})
        await asyncio.sleep(SETTLED_S)
        assert len(heard) == 1 and len(world.heard) == 2

    simulate(scenario)
