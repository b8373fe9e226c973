"""The GPU operator: a fleet from bare to validated, what that writes for each node, and what the operator costs at rest.

The operator runs in a process of its own beside the emulated cluster, which has all the rest: API server and controllers, and,
of many nodes in another process, kubelets, agents, validators and the scheduler. Writes are counted by the cluster's audit log, of fewer nodes: none of them depends on how many there are.
Beside them stands the least that a node could have of them: each step told once.
"""

import asyncio
import json
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import GPUNODES, GPUPOLICIES
from benchmarks.clusters import ALIQUOT, cluster, cpu_s, machine

POLICY = {
    "apiVersion": "aliquot.dev/v1alpha1",
    "kind": "GPUPolicy",
    "metadata": {"name": "gpus"},
    "spec": {"driver": {"version": "580.82.07"}},
}
STEPS = 6
AUDITED = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create, update, patch, delete]}
- {level: None}
"""
OPERATOR = "system:serviceaccount:aliquot-system:aliquot-operator"
LEAST = {"nodes": STEPS - 1, "gpunodes": 1, "gpunodes/status": STEPS, "events": STEPS}
"""One label for each operand, one condition and one event for each step."""
_DEADLINE_S = 600.0


def main(short: bool = False) -> None:
    nodes, counted, rest_s = (50, 10, 10.0) if short else (500, 50, 60.0)
    print(f"the GPU operator, nodes with 8 GPUs ({machine()})")
    _writes(counted)
    with (
        cluster(
            "--operator", "--operator-outside", "--nodes", str(nodes), "--gpus", "h100-80gb:8"
        ) as running,
        _operator(running.kubeconfig) as operator,
    ):
        of_cluster = running.processes()
        took_s, used_s = asyncio.run(_validated(running.kubeconfig, nodes, operator, *of_cluster))
        print(f"  {nodes} nodes from bare to validated: {took_s:.1f} s   goal for 500: under 60 s")
        each = " + ".join(f"{one:.1f}" for one in used_s[1:])
        print(
            f"    CPU until then: the operator {used_s[0]:.1f} s, the emulated cluster's processes {each} s"
        )
        time.sleep(15 if not short else 5)
        before_s, began = cpu_s(operator), time.perf_counter()
        time.sleep(rest_s)
        share = (cpu_s(operator) - before_s) / (time.perf_counter() - began)
        print(f"  the operator at rest: {share:.2%} of a core over {rest_s:.0f} s   goal: under 1 %")
        print(f"    {operator.memory_info().rss / 2**20:.0f} MiB resident   goal: under 150 MiB")


def _writes(nodes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="aliquot-bench-") as directory:
        policy, log = Path(directory) / "policy.yaml", Path(directory) / "audit.log"
        policy.write_text(AUDITED)
        audit = ("--audit-policy", str(policy), "--audit-log", str(log))
        with cluster("--operator", "--nodes", str(nodes), "--gpus", "h100-80gb:8", *audit) as running:
            time.sleep(3)
            before = len(log.read_text().splitlines())
            asyncio.run(_validated(running.kubeconfig, nodes))
            time.sleep(3)
            seen = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    counts = Counter((_writer(event), _what(event)) for event in seen)
    by_writer: Counter[str] = Counter()
    for (writer, _), count in counts.items():
        by_writer[writer] += count
    print(f"  writes for each of {nodes} nodes until it is validated, by writer")
    for writer, count in by_writer.most_common():
        print(f"    {writer:<30}{count / nodes:7.1f}")
    print("  of these the operator's, beside each step told once")
    for (writer, what), count in counts.most_common():
        if writer == "aliquot-operator":
            print(f"    {what:<30}{count / nodes:7.1f}   {LEAST.get(what, 0):>3}")


def _writer(event: dict[str, Any]) -> str:
    user: str = event["user"]["username"]
    if user.startswith("system:node:"):
        return "kubelet"
    return user.rpartition(":")[2]


def _what(event: dict[str, Any]) -> str:
    reference = event.get("objectRef", {})
    subresource = reference.get("subresource", "")
    return f"{reference.get('resource', '')}{'/' if subresource else ''}{subresource}"


async def _validated(config: Path, nodes: int, *processes: psutil.Process) -> tuple[float, list[float]]:
    """Applies the policy. Seconds until all are, and the CPU seconds of each process."""
    transport = kubeconfig.load(str(config), None).transport()
    client = Client(transport, clock=SystemClock(), rng=random.Random(1))
    gpu_nodes = Cache(client, GPUNODES, GPUNode)
    watching = asyncio.create_task(gpu_nodes.run())
    try:
        await gpu_nodes.synced()
        before = [cpu_s(process) for process in processes]
        began = time.perf_counter()
        await client.apply(GPUPOLICIES, POLICY, field_manager="bench")
        async with asyncio.timeout(_DEADLINE_S):
            while sum(map(_is_validated, gpu_nodes.values())) < nodes:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        took_s = time.perf_counter() - began
        return took_s, [cpu_s(process) - was for process, was in zip(processes, before, strict=True)]
    finally:
        watching.cancel()
        await asyncio.wait((watching,))
        await transport.close()


def _is_validated(node: GPUNode) -> bool:
    return any((one.type, one.status) == ("Validated", "True") for one in node.status.conditions)


@contextmanager
def _operator(config: Path) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        [str(ALIQUOT), "operator", "run", "--kubeconfig", str(config), "--no-leader-elect"],
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(5)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()
