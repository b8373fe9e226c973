"""The main job, start to end: a cluster comes up, its GPUs are cut, pods run on them, and all of it is checked.

Everything here goes through the command line that users have: `aliquot` and an unmodified kubectl.
Exit code 0 only if every expectation held.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent
BIN = Path(sys.executable).parent
ALIQUOT = str(BIN / "aliquot")
KUBECTL = shutil.which("kubectl") or str(BIN / "kubectl")

RUNNING = ["whole", *(f"seventh-{i}" for i in range(7)), "three", "four", "pair"]

NEXT = f"""
That cluster is gone. Try next, with one that stays:
  export PATH={BIN}:$PATH
  aliquot up --detach --inventory {os.path.relpath(EXAMPLES / "inventories/three-nodes.yaml")}   # then the export it prints
  kubectl apply --server-side -f {os.path.relpath(EXAMPLES)}; aliquot gpu list; aliquot gpu show hopper-0/1
  aliquot down"""


def run(*command: str, env: dict[str, str], show: bool = True) -> str:
    """Run a command as a reader would type it, and print what it prints."""
    if show:
        print(f"$ {' '.join([Path(command[0]).name, *command[1:]])}", flush=True)
    done = subprocess.run(command, check=False, env=env, text=True, capture_output=True)
    if show:
        print(done.stdout + done.stderr, flush=True)
    if done.returncode:
        raise SystemExit(f"demo: {' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return done.stdout


def devices(nodes: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Pod -> the devices that kubelet gave it, as GPUNode.status tells."""
    held: dict[str, list[dict[str, Any]]] = {}
    for node in nodes:
        for gpu in node["status"]["gpus"]:
            place = {"node": node["metadata"]["name"], "gpu": gpu["index"], "board": gpu["board"]}
            for pod in gpu.get("pods", []):
                held.setdefault(pod, []).append({**place, "uuid": gpu["uuid"], "what": "whole GPU"})
            for instance in gpu.get("instances", []):
                for pod in instance.get("pods", []):
                    what = f"{instance['profile']} at slot {instance['start']}"
                    held.setdefault(pod, []).append({**place, "uuid": instance["uuid"], "what": what})
    return held


def expectations(pods: list[dict[str, Any]], held: dict[str, list[dict[str, Any]]]) -> dict[str, bool]:
    """What the examples promise, and whether it is so."""
    phase = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods}
    of = {name.partition("/")[2]: found for name, found in held.items()}
    sevenths = [device for i in range(7) for device in of.get(f"seventh-{i}", [])]
    serve = [name for name in phase if name.startswith("serve-")]
    uuids = [device["uuid"] for found in of.values() for device in found]
    place = {(d["node"], d["gpu"]) for d in sevenths}
    return {
        "a pod has a whole H100": [d["board"] for d in of.get("whole", [])] == ["h100-80gb"],
        "seven pods run on the seven 1g.10gb slices of one H100": len({d["uuid"] for d in sevenths}) == 7
        and len(place) == 1,
        "3g.40gb and 4g.40gb fill one H100": len(
            {(d["node"], d["gpu"]) for n in ("three", "four") for d in of.get(n, [])}
        )
        == 1
        and len(of.get("three", [])) == len(of.get("four", [])) == 1,
        "two containers hold two kinds of slice": sorted(d["what"].split()[0] for d in of.get("pair", []))
        == ["1g.5gb", "3g.20gb"],
        "each replica of the Deployment has an L4 of its own": len(serve) == 2
        and len({d["uuid"] for n in serve for d in of.get(n, []) if d["board"] == "l4"}) == 2,
        "all of them run": all(phase.get(name) == "Running" for name in [*RUNNING, *serve]),
        "no device is handed out twice": len(uuids) == len(set(uuids)),
        "the pod that can never fit is pending, and holds nothing": phase.get("too-large") == "Pending"
        and "too-large" not in of,
    }


def table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aliquot-demo-") as state:
        env = {
            **os.environ,
            "KUBECONFIG": f"{state}/kubeconfig",
            "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        }
        run(
            ALIQUOT,
            "up",
            "--detach",
            "--state",
            state,
            "--inventory",
            str(EXAMPLES / "inventories/three-nodes.yaml"),
            env=env,
        )
        try:
            return show(env, started)
        finally:
            run(ALIQUOT, "down", "--state", state, env=env, show=False)


def show(env: dict[str, str], started: float) -> int:
    run(KUBECTL, "get", "nodes", env=env)
    run(KUBECTL, "apply", "--server-side", "-f", str(EXAMPLES), env=env)
    run(KUBECTL, "rollout", "status", "deployment/serve", "--timeout=20s", env=env, show=False)
    run(
        KUBECTL,
        "wait",
        *(f"pod/{n}" for n in RUNNING),
        "--for=condition=Ready",
        "--timeout=20s",
        env=env,
        show=False,
    )
    run(
        KUBECTL,
        "wait",
        "pod/too-large",
        "--for=condition=PodScheduled=False",
        "--timeout=20s",
        env=env,
        show=False,
    )
    run(ALIQUOT, "gpu", "list", env=env)

    pods = json.loads(run(KUBECTL, "get", "pods", "-o", "json", env=env, show=False))["items"]
    nodes = json.loads(run(KUBECTL, "get", "gpunodes", "-o", "json", env=env, show=False))["items"]
    held = devices(nodes)
    columns = ("POD", "STATUS", "NODE", "GPU", "DEVICE", "UUID")
    rows = [
        (pod["metadata"]["name"], pod["status"]["phase"], d["node"], str(d["gpu"]), d["what"], d["uuid"])
        for pod in pods
        for d in held.get(f"default/{pod['metadata']['name']}", [])
    ]
    table([columns, *rows])
    for pod in pods:
        for condition in pod["status"].get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                print(f"{pod['metadata']['name']} is {pod['status']['phase']}: {condition['message']}\n")

    held_true = expectations(pods, held)
    for what, is_so in held_true.items():
        print(f"{'ok  ' if is_so else 'FAIL'}  {what}")
    print(
        f"\n{sum(held_true.values())} of {len(held_true)} expectations held, in {time.monotonic() - started:.1f} s"
    )
    if not all(held_true.values()):
        return 1
    print(NEXT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
