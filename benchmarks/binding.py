"""Created to bound: how many single-GPU pods a second get a node, through an API server, and what limits it.

The nodes are objects that nobody runs, so that kubelets take nothing of the cores on which the API server, the scheduler
and the client that creates the pods are, each a process of its own. A pod is bound when a watch of that client shows it
with its node.

    python -m benchmarks binding
    python -m benchmarks.binding --server KUBECONFIG [--kube-scheduler BINARY] [--created-before]

The second measures on another API server of this machine, such as the real one, which is then for this alone; there
kube-scheduler stands beside ours in the same run, with its limit on requests a second lifted. Where all pods are created
before, the scheduler is stopped meanwhile, and what is measured is the binding alone.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import uvloop
from msgspec import Struct

from aliquot.clock import SystemClock
from aliquot.kube import crds, errors, kubeconfig
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import GPUNODES, NAMESPACES, NODES, PODS, SERVICEACCOUNTS
from aliquot.scheduler.announcing import Events
from benchmarks.api import api_server, load
from benchmarks.clusters import machine, percentile
from benchmarks.load import Result

NODES_COUNT, PODS_COUNT = 1_000, 10_000
GPUS = 16
"""Of each node, so that there is room for all pods."""
CONNECTIONS = 16
WAIT_S = 300.0
SERVERS = ("kube-apiserver", "etcd")
SCHEDULER_NAME = "bench"
_AT_ONCE = 32
_QUIET_CORES = 0.05

Processes = Mapping[str, Sequence[psutil.Process]]
"""By what they are."""


@dataclass(frozen=True)
class Contender:
    name: str
    command: Sequence[str]
    counts_calls: bool = True
    """It prints its calls to the API server when it ends; else the server's own count is taken."""


@dataclass(frozen=True)
class Measured:
    created: Result
    bound_s: float
    """From when the first pod was sent (or, created before, from when the scheduler went on) until the last was seen bound."""
    told_s: float
    """The same until the scheduler had no more to tell of them."""
    latencies_ms: list[float]
    cpu_s: Mapping[str, float]
    """Until all was told; of `others` what this machine spent on anything else."""
    calls: Counter[str]
    """`VERB resource`."""

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.bound_s

    @property
    def cpu_us(self) -> float:
        """Of a pod, in all parts together: what is left to compare by where others use the machine too."""
        used_s = sum(used for part, used in self.cpu_s.items() if part != "others")
        return 1e6 * used_s / len(self.latencies_ms)


class _Spec(Struct, rename="camel", frozen=True):
    node_name: str = ""


class _Pod(Struct):
    metadata: ObjectMeta
    spec: _Spec = _Spec()


def main(short: bool = False) -> None:
    nodes, pods = (50, 300) if short else (NODES_COUNT, PODS_COUNT)
    print(f"{pods:,} single-GPU pods on {nodes:,} nodes, created to bound ({machine()}; goal: 300 pods/s)")
    for events, with_gpu_nodes in ((Events.EACH, False), (Events.SUMMED, False), (Events.EACH, True)):
        with api_server() as (directory, server):
            config = directory / "kubeconfig"
            uvloop.run(_prepare(config, nodes, with_gpu_nodes))
            contender = aliquot(config, events)
            name = contender.name + (", GPUs chosen" if with_gpu_nodes else "")
            print_measured(name, measure(contender, config, {"API server": [server]}, pods))


def on(config: Path, kube_scheduler: str, *, nodes: int, pods: int, turns: int, created_before: bool) -> None:
    """On a server of this machine that runs already, kube-scheduler in turns with ours."""
    what = "bound, all created before" if created_before else "created to bound"
    print(f"{pods:,} single-GPU pods on {nodes:,} nodes, {what} ({machine()})")
    uvloop.run(_prepare(config, nodes, with_gpu_nodes=False))
    servers = {name: [one for one in psutil.process_iter() if one.name() == name] for name in SERVERS}
    with tempfile.TemporaryDirectory() as scratch:
        contenders = [aliquot(config, events) for events in Events]
        if kube_scheduler:
            contenders.append(upstream(config, kube_scheduler, Path(scratch)))
        rates: dict[str, list[float]] = {one.name: [] for one in contenders}
        cpu_us: dict[str, list[float]] = {one.name: [] for one in contenders}
        for _ in range(turns):
            for contender in contenders:
                measured = measure(contender, config, servers, pods, created_before=created_before)
                rates[contender.name].append(measured.per_second)
                cpu_us[contender.name].append(measured.cpu_us)
                print_measured(contender.name, measured)
    if kube_scheduler:
        *ours, baseline = rates
        for name in ours:
            print(
                f"  {name}, of {baseline}: {max(rates[name]) / max(rates[baseline]):.2f} times the pods/s, "
                f"{min(cpu_us[baseline]) / min(cpu_us[name]):.2f} times the pods per CPU-second of all; best of {turns}"
            )


def aliquot(config: Path, events: Events) -> Contender:
    command = (sys.executable, "-m", "benchmarks.binding_scheduler", str(config), SCHEDULER_NAME, events)
    return Contender(f"aliquot, events {events}", command)


def upstream(config: Path, binary: str, scratch: Path) -> Contender:
    settings = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(config), "qps": 100_000, "burst": 100_000},
        "profiles": [{"schedulerName": SCHEDULER_NAME}],
    }
    file = scratch / "kube-scheduler.json"
    file.write_text(json.dumps(settings))
    return Contender(
        "kube-scheduler", (binary, "--config", str(file), "--secure-port", "0"), counts_calls=False
    )


def print_measured(name: str, measured: Measured) -> None:
    pods = len(measured.latencies_ms)
    latencies = ", ".join(
        f"p{100 * share:g} {percentile(measured.latencies_ms, share) / 1000:.2f} s" for share in (0.5, 0.99)
    )
    print(
        f"  {name}: {measured.per_second:,.0f} pods/s bound, {pods / measured.told_s:,.0f} with all told of them; "
        f"created at {measured.created.per_second:,.0f}/s; a pod waits {latencies}"
    )
    cores = {part: used / measured.told_s for part, used in measured.cpu_s.items()}
    for part, used in measured.cpu_s.items():
        print(f"    {part:16}{used:>7.1f} CPU-s{1e6 * used / pods:>8,.0f} us a pod{cores[part]:>7.2f} cores")
    others = cores.pop("others")
    busiest = max(cores, key=lambda part: cores[part])
    print(
        f"    limit: {busiest}; {measured.cpu_us:,.0f} us a pod in all, {sum(cores.values()):.2f} cores, of "
        f"{os.cpu_count()} with {others:.2f} busy otherwise"
    )
    often = {call: count / pods for call, count in measured.calls.most_common() if count > pods / 100}
    print(
        f"    calls a pod: {sum(often.values()):.2f} = "
        + " + ".join(f"{n:.2f} {c}" for c, n in often.items())
    )
    sys.stdout.flush()


def measure(
    contender: Contender, config: Path, servers: Processes, pods: int, *, created_before: bool = False
) -> Measured:
    namespace = f"bench-{time.time_ns():x}"
    collection = f"/api/v1/namespaces/{namespace}/pods"
    uvloop.run(_make_namespace(config, namespace))
    with _running(contender.command) as process:
        parts = {"scheduler": [psutil.Process(process.pid)], **servers}
        scheduler = psutil.Process(process.pid)

        # It is ready when it binds one.
        uvloop.run(_create(config, collection, [_named("first")], namespace))
        asked_before = uvloop.run(_asked(config))
        if created_before:
            scheduler.suspend()
        began_s, cpu_before = time.perf_counter(), _cpu_s(parts)

        def go_on() -> None:
            nonlocal began_s, cpu_before
            if created_before:
                began_s, cpu_before = time.perf_counter(), _cpu_s(parts)
                scheduler.resume()

        names = [f"p-{number}" for number in range(pods)]
        created, bound_at_s = uvloop.run(
            _create(config, collection, [_named(name) for name in names], namespace, go_on)
        )
        began_s = max(began_s, min(created.sent_at_s))
        _until_quiet(process.pid)
        told_s = time.perf_counter() - began_s
        cpu_s = {part: used - cpu_before[part] for part, used in _cpu_s(parts).items()}
        asked = uvloop.run(_asked(config)) - asked_before - Counter({"POST pods": pods})
        process.terminate()
        said, _ = process.communicate()
    gone = [("DELETE", f"{collection}/{name}?gracePeriodSeconds=0", "") for name in ("first", *bound_at_s)]
    load(config, gone)
    client_s = 0.0 if created_before else created.cpu_seconds
    ours_s = sum(used for part, used in cpu_s.items() if part != "others") + client_s
    return Measured(
        created,
        max(bound_at_s.values()) - began_s,
        told_s,
        [
            1000 * (bound_at_s[name] - max(sent, began_s))
            for name, sent in zip(names, created.sent_at_s, strict=True)
        ],
        {**cpu_s, "client": client_s, "others": cpu_s["others"] - ours_s},
        Counter(json.loads(said)) if contender.counts_calls else asked,
    )


async def _create(
    config: Path,
    collection: str,
    pods: Sequence[dict[str, Any]],
    namespace: str,
    then: Callable[[], None] = lambda: None,
) -> tuple[Result, dict[str, float]]:
    """Creates them, calls `then`, and returns when they are bound: (how it went, when each was seen with its node)."""
    requests = [("POST", collection, json.dumps(pod)) for pod in pods]
    bound_at_s: dict[str, float] = {}
    all_bound = asyncio.Event()

    def changed(old: _Pod | None, new: _Pod | None) -> None:
        if new is not None and new.spec.node_name and new.metadata.name in names:
            bound_at_s.setdefault(new.metadata.name, time.perf_counter())
            if len(bound_at_s) == len(names):
                all_bound.set()

    names = {pod["metadata"]["name"] for pod in pods}
    async with _connected(config) as client, asyncio.TaskGroup() as tasks:
        cache = Cache(client, PODS, _Pod, namespace=namespace)
        following = tasks.create_task(cache.run())
        await cache.synced()
        cache.subscribe(changed)
        async with asyncio.timeout(WAIT_S):
            created = await asyncio.to_thread(load, config, requests, min(CONNECTIONS, len(pods)))
            then()
            await all_bound.wait()
        following.cancel()
    if created.failures:
        sys.exit(f"the server refused pods: {created.failures}")
    return created, bound_at_s


def _named(name: str) -> dict[str, Any]:
    limits = {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": 1}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "train"}},
        "spec": {
            "schedulerName": SCHEDULER_NAME,
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example.com/team/train:1.2.3",
                    "command": ["python", "-m", "train"],
                    "resources": {"limits": limits},
                }
            ],
        },
    }


async def _prepare(config: Path, nodes: int, with_gpu_nodes: bool) -> None:
    async with _connected(config) as client:
        await crds.install(client)
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with turns:
                await _make_node(client, name)
                if with_gpu_nodes:
                    await _make_gpu_node(client, name)

        await asyncio.gather(*(one(f"node-{number:04}") for number in range(nodes)))


async def _make_node(client: Client, name: str) -> None:
    amounts = {"cpu": "128", "memory": "2Ti", "pods": "110", "nvidia.com/gpu": str(GPUS)}
    status = {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    }
    labels = {"kubernetes.io/hostname": name}
    try:
        await client.create(NODES, {"metadata": {"name": name, "labels": labels}, "status": status})
    except errors.AlreadyExists:
        return
    # The server taints what is new as not ready.
    await client.patch(NODES, name, {"spec": {"taints": None}})


async def _make_gpu_node(client: Client, name: str) -> None:
    gpus = [
        {
            "uuid": f"GPU-{name}-{index}",
            "index": index,
            "product": "NVIDIA H100 80GB HBM3",
            "board": "h100-80gb",
            "memoryMib": 81_559,
            "migMode": "Disabled",
            "resource": "nvidia.com/gpu",
            "ready": True,
        }
        for index in range(GPUS)
    ]
    await client.create(GPUNODES, {"metadata": {"name": name}})
    await client.patch(GPUNODES, name, {"status": {"gpus": gpus}}, subresource="status")


async def _make_namespace(config: Path, name: str) -> None:
    async with _connected(config) as client:
        await client.create(NAMESPACES, {"metadata": {"name": name}})
        # Where no controller makes it.
        with suppress(errors.AlreadyExists):
            await client.create(SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": name}})


_REQUESTS = re.compile(r"apiserver_request_total\{(.*)\} (\S+)")
_METHODS = {verb: verb for verb in ("GET", "POST", "PUT", "PATCH", "DELETE")} | {"APPLY": "PATCH"}


async def _asked(config: Path) -> Counter[str]:
    """What everybody has asked of the server, as it counts it itself; nothing where it does not."""
    async with _connected(config) as client:
        try:
            text = (await client.get_raw("/metrics")).decode()
        except errors.NotFound:
            return Counter()
    asked: Counter[str] = Counter()
    for labels, count in _REQUESTS.findall(text):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if label["verb"] in _METHODS:
            resource = "/".join(filter(None, (label["resource"], label["subresource"])))
            asked[f"{_METHODS[label['verb']]} {resource}"] += int(float(count))
    return asked


@asynccontextmanager
async def _connected(config: Path) -> AsyncIterator[Client]:
    transport = kubeconfig.load(str(config), None).transport()
    try:
        yield Client(transport, clock=SystemClock(), rng=random.Random(1), user_agent="bench")
    finally:
        await transport.close()


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _cpu_s(parts: Processes) -> dict[str, float]:
    """Of the processes, and as `others` of the whole machine."""
    machine = psutil.cpu_times()
    used = {part: sum(sum(one.cpu_times()[:2]) for one in of) for part, of in parts.items()}
    return used | {"others": machine.user + machine.nice + machine.system}


def _until_quiet(pid: int) -> None:
    process = psutil.Process(pid)
    while True:
        before = sum(process.cpu_times()[:2])
        time.sleep(1.0)
        if sum(process.cpu_times()[:2]) - before < _QUIET_CORES:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.binding")
    parser.add_argument("--server", type=Path, required=True, metavar="KUBECONFIG")
    parser.add_argument("--kube-scheduler", default="", metavar="BINARY")
    parser.add_argument("--nodes", type=int, default=NODES_COUNT)
    parser.add_argument("--pods", type=int, default=PODS_COUNT)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--created-before", action="store_true")
    given = parser.parse_args()
    on(
        given.server,
        given.kube_scheduler,
        nodes=given.nodes,
        pods=given.pods,
        turns=given.turns,
        created_before=given.created_before,
    )
