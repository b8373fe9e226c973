"""Memberships kept up with an API in memory, on virtual time: what is asked of it, and what is heard when."""

import asyncio
from typing import Any

import pytest

from aliquot.kube.api.core import Pod
from aliquot.kube.resources import CRONJOBS, JOBS, PODGROUPS, PODS, REPLICASETS, Resource
from aliquot.scheduler.grouping.doors import coscheduling, upstream
from aliquot.scheduler.grouping.membership import Membership, membership
from tests.kube.fake_api import Json
from tests.scheduler.groups_world import (
    LWS,
    PYTORCHJOBS,
    RARELY_S,
    REFUSED_S,
    SETTLED_S,
    STATEFULSETS,
    WORKER,
    World,
    pytorch,
    reference,
    refusal,
    relabelled,
    simulate,
    tree,
)


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
        for name in ("w", "p"):
            world.membership(name)
        await asyncio.sleep(REFUSED_S)
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
        world.membership("p")
        await asyncio.sleep(REFUSED_S)
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


def test_a_pod_that_says_something_else_than_before() -> None:
    async def scenario(world: World) -> None:
        job = world.put(JOBS, "sweep", spec={"parallelism": 3})
        for name in ("p", "q", "r"):
            world.pod(name, job, {"aliquot.dev/max-runtime": "2h"})
        await asyncio.sleep(SETTLED_S)
        for name in ("p", "q", "r"):
            assert (await world.settled(name)).job.max_runtime_s == 7200
        for text, seconds in (("1h", 3600), ("2h", 7200)):
            world.heard.clear()
            said = {"aliquot.dev/max-runtime": text}
            world.api.put(PODS, relabelled(world.api.objects(PODS)["a/q"], **said))
            await asyncio.sleep(SETTLED_S)
            assert (await world.settled("q")).job.max_runtime_s == seconds
            assert world.heard == [frozenset({"a/p", "a/r"})]
            assert (await world.settled("p")).job.max_runtime_s == seconds

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


def test_a_subscriber_that_fails_does_not_keep_others_from_hearing() -> None:
    async def scenario(world: World) -> None:
        def failing(_names: tuple[str, ...]) -> None:
            raise RuntimeError

        heard: list[tuple[str, ...]] = []
        world.groups.subscribe(failing)
        stop = world.groups.subscribe(heard.append)
        world.pod("p", world.put(JOBS, "run", spec={}))
        await asyncio.sleep(SETTLED_S)
        await world.settled("p")
        assert heard == [("a/p",)]
        stop()
        world.api.put(JOBS, {**world.api.objects(JOBS)["a/run"], "spec": {"activeDeadlineSeconds": 5}})
        await asyncio.sleep(SETTLED_S)
        assert len(heard) == 1 and len(world.heard) == 2

    simulate(scenario)
