"""The API server over HTTPS: creates, gets, a list and a fan-out, beside the least server in the same run.

A user with a client certificate and a Role of its own (authentication and RBAC at work), 32 connections, every write
a commit of its own to SQLite. The load comes from another process, so server and load share the machine's cores.

The goals were set beside a throwaway prototype, the least server of its day, on another machine. What part of it they
ask for is what another machine, or a busy one, can be measured by: `of least`, and the goal beside it.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from aliquot.emulator.server import write_kubeconfig
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.resources import CONFIGMAPS
from benchmarks.clusters import cluster, machine, percentile
from benchmarks.load import Result

CONNECTIONS = 32
WATCHES = 1000
USER, NAMESPACE = "bench", "bench"
PROTOTYPE = {"ConfigMap creates": 8_400, "Pod creates": 8_400, "gets": 18_400}
"""Per second, of a throwaway server without RBAC, validation and managedFields, on another machine with two cores."""
GOALS = {"ConfigMap creates": 4_000, "Pod creates": 2_000, "gets": 12_000}


def main(short: bool = False) -> None:
    count = 500 if short else 6_000
    print(f"{CONNECTIONS} connections over TLS, RBAC on, each write a commit ({machine()})")
    print(
        f"  {'':32}{'per s':>6}{'per CPU-s':>11}{'CPU-us':>8}{'p50 ms':>8}{'p99 ms':>8}{'goal':>8}"
        f"{'of least':>10}{'goal':>6}"
    )
    base = f"/api/v1/namespaces/{NAMESPACE}"
    config_maps = [("POST", f"{base}/configmaps", json.dumps(config_map(n))) for n in range(count)]
    gets = [("GET", f"{base}/configmaps/c-0", "")] * count
    pods = [("POST", f"{base}/pods", json.dumps(pod(n))) for n in range(count * 5 // 6)]
    rows = {"ConfigMap creates": config_maps, "gets": gets, "Pod creates": pods}
    with api_server() as (directory, server):
        user = prepare(directory / "kubeconfig", directory / "pki")
        with least_server(directory) as (url, process):
            least = directory / "least"
            write_user(directory / "pki", url, least)
            for name, requests in rows.items():
                rate = measure(f"{name}, least server", least, process, requests)
                measure(name, user, server, requests, least=rate)
        lists = load(user, [("GET", f"{base}/pods?limit=5000", "")] * 10, connections=1)
        with least_server(directory, lists.answer_bytes) as (url, _):
            write_user(directory / "pki", url, least)
            bare = load(least, [("GET", f"{base}/pods", "")] * 10, connections=1)
        print(
            f"  list of {len(pods):,} pods ({lists.answer_bytes / 2**20:.1f} MiB): "
            f"p50 {percentile(lists.latencies_ms, 0.5):.1f} ms; "
            f"least server, as many bytes: {percentile(bare.latencies_ms, 0.5):.1f} ms   goal: under 40 ms"
        )
        watches = 50 if short else WATCHES
        arrivals = asyncio.run(fan_out(user, watches, after=asyncio.run(_version(user))))
        with least_server(directory) as (url, _):
            write_user(directory / "pki", url, least)
            bare_arrivals = asyncio.run(fan_out(least, watches))
        print(
            f"  one event to {watches:,} open watches: p50 {percentile(arrivals, 0.5):.1f} ms to the last of them, "
            f"max {max(arrivals):.1f} ms; least server: p50 {percentile(bare_arrivals, 0.5):.1f} ms, "
            f"max {max(bare_arrivals):.1f} ms   goal: under 50 ms; a bare fan-out on another machine 18 ms"
        )
        print(f"  the server's memory at the end: {server.memory_info().rss / 2**20:.0f} MiB")
    print(
        "  the same with the controllers and the scheduler of a cluster, who look at each, in the same process:"
    )
    with cluster("--nodes", "0") as running:
        user = prepare(running.kubeconfig, running.kubeconfig.parent / "pki")
        measure("ConfigMap creates", user, running.process, config_maps[: count // 2])
        measure("Pod creates", user, running.process, pods[: count // 2])


def measure(
    name: str,
    config: Path,
    server: psutil.Process,
    requests: Sequence[tuple[str, str, str]],
    *,
    least: float | None = None,
) -> float:
    """Prints a row, beside what the least server made per second; gives the requests per second.

    Requests per second of the server's CPU are what another machine's load leaves as they are.
    """
    before = sum(server.cpu_times()[:2])
    result = load(config, requests)
    cpu_s = sum(server.cpu_times()[:2]) - before
    if result.failures:
        sys.exit(f"{name}: the server refused: {result.failures}")
    count = len(requests)
    row = (
        f"  {name:32}{result.per_second:>6,.0f}{count / cpu_s:>11,.0f}{1e6 * cpu_s / count:>8.0f}"
        f"{percentile(result.latencies_ms, 0.5):>8.1f}{percentile(result.latencies_ms, 0.99):>8.1f}"
    )
    if least is not None:
        goal = GOALS[name]
        row += f"{goal:>8,}{result.per_second / least:>10.2f}{goal / PROTOTYPE[name]:>6.2f}"
    print(row, flush=True)
    return result.per_second


def load(config: Path, requests: Sequence[tuple[str, str, str]], connections: int = CONNECTIONS) -> Result:
    command = [sys.executable, "-m", "benchmarks.load", str(config), str(connections)]
    answer = subprocess.run(
        command, input=json.dumps(requests), check=True, stdout=subprocess.PIPE, text=True
    )
    return Result(**json.loads(answer.stdout))


def write_user(pki: Path, url: str, path: Path) -> None:
    authority = Authority(pki, clock=SystemClock())
    client = authority.client(USER)
    write_kubeconfig(path, url=url, authority=authority.certificate, user=USER, client=client)


def prepare(admin: Path, pki: Path) -> Path:
    """A namespace, a user, and a Role that lets the user do in it what is measured. Gives the user's kubeconfig."""
    rules = [
        {"apiGroups": [""], "resources": ["configmaps", "pods"], "verbs": ["create", "get", "list", "watch"]}
    ]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": USER}
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
        (f"{rbac}/roles", {"metadata": {"name": USER}, "rules": rules}),
        (f"{rbac}/rolebindings", {"metadata": {"name": USER}, "subjects": [subject], "roleRef": reference}),
    ]
    for path, body in bodies:
        result = load(admin, [("POST", path, json.dumps(body))], connections=1)
        if result.failures:
            sys.exit(f"{path}: {result.failures}")
    user = admin.with_name("kubeconfig-of-user")
    write_user(pki, kubeconfig.load(str(admin), None).server, user)
    return user


@contextmanager
def api_server() -> Iterator[tuple[Path, psutil.Process]]:
    """(its directory, with pki/ and kubeconfig in it; its process)."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tests.emulator.serve", directory]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                process.stdout.readline()
                yield Path(directory), psutil.Process(process.pid)
            finally:
                process.terminate()


@contextmanager
def least_server(directory: Path, answer_bytes: int = 2) -> Iterator[tuple[str, psutil.Process]]:
    command = [sys.executable, "-m", "benchmarks.least_server", str(directory), str(answer_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"https://127.0.0.1:{process.stdout.readline().strip()}", psutil.Process(process.pid)
        finally:
            process.terminate()


async def fan_out(config: Path, watches: int, *, after: str = "", events: int = 20) -> list[float]:
    """Milliseconds from the create of an object until the last watch has it, once for each event.

    The watches begin after the revision `after`.
    """
    connection = kubeconfig.load(str(config), None)
    host, port = connection.server.removeprefix("https://").split(":")
    tls = connection.tls()

    async def ask(
        method: str, path: str, body: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    base = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    for start in range(0, watches, 50):
        streams += await asyncio.gather(
            *(
                ask("GET", f"{base}?watch=true&resourceVersion={after}")
                for _ in range(start, min(start + 50, watches))
            )
        )
    arrivals = []
    for number in range(events):
        name = f"news-{number}".encode()
        waiting = [asyncio.ensure_future(_until_named(reader, name)) for reader, _ in streams]
        await asyncio.sleep(0.2)
        began = time.perf_counter()
        _, writer = await ask("POST", base, json.dumps(config_map(number, "news")))
        await asyncio.gather(*waiting)
        arrivals.append(1000 * (time.perf_counter() - began))
        writer.close()
    for _, writer in streams:
        writer.close()
    return arrivals


async def _version(config: Path) -> str:
    """The resourceVersion of now."""
    transport = kubeconfig.load(str(config), None).transport()
    try:
        client = Client(transport, clock=SystemClock(), rng=random.Random(1))
        return (await client.list(CONFIGMAPS, NAMESPACE, label_selector="app=none")).resource_version
    finally:
        await transport.close()


async def _until_named(reader: asyncio.StreamReader, name: bytes) -> None:
    while name not in await reader.readuntil(b"\n"):
        pass


def config_map(number: int, prefix: str = "c") -> dict[str, Any]:
    data = {f"setting-{index}": f"value {index} of {number}" for index in range(10)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{prefix}-{number}", "labels": {"app": "bench"}},
        "data": data,
    }


def pod(number: int) -> dict[str, Any]:
    """A training pod as people write it, about 1.5 KB."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"train-{number}",
            "labels": {"app": "train", "job-name": f"job-{number // 8}", "team": "vision"},
            "annotations": {"aliquot.dev/run-for": "3600s"},
        },
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example.com/team/train:1.2.3",
                    "command": ["python", "-m", "train"],
                    "args": ["--epochs", "10"],
                    "env": [{"name": f"SETTING_{index}", "value": f"value-{index}"} for index in range(8)],
                    "resources": {"limits": {"cpu": "16", "memory": "128Gi", "nvidia.com/gpu": 8}},
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                }
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    }
