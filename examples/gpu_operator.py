"""Bare nodes get all of their software by one object, and a newer driver without hurting what runs there.

Three nodes with GPUs that nobody sees, a Deployment that waits for some, one `kubectl apply`; then the driver is upgraded:
one node first, alone, and the others one at a time. Everything here goes through the command line that users have:
`aliquot` and an unmodified kubectl. Exit code 0 only if every expectation held.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from demo import ALIQUOT, BIN, EXAMPLES, KUBECTL, run  # type: ignore[import-not-found]  # the script beside this one

NODES = 3
STEPS = ("DriverReady", "ToolkitReady", "AgentReady", "MIGReady", "ExporterReady", "Validated")
STATE = "nvidia.com/gpu-driver-upgrade-state"
OLD, NEW = "580.82.07", "595.91.07"
_LOOK_S = 0.3
_INSTALLED_S = 60.0
_UPGRADED_S = 120.0


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aliquot-demo-") as state:
        env = {
            **os.environ,
            "KUBECONFIG": f"{state}/kubeconfig",
            "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        }
        fleet = ("--nodes", str(NODES), "--gpus", "h100-80gb:2")
        run(ALIQUOT, "up", "--detach", "--operator", "--state", state, *fleet, env=env)
        try:
            return show(env, started)
        finally:
            run(ALIQUOT, "down", "--state", state, env=env, show=False)


def show(env: dict[str, str], started: float) -> int:
    run(KUBECTL, "apply", "-f", example("serve.yaml"), env=env)
    waits = ("pod", "-l", "app=serve", "--for=condition=PodScheduled=False", "--timeout=20s")
    run(KUBECTL, "wait", *waits, env=env, show=False)
    before = get(env, "nodes")
    hanging = get(env, "pods")
    run(KUBECTL, "get", "pods", env=env)
    print(f"{condition(hanging[0], 'PodScheduled')['message']}\n")

    run(KUBECTL, "apply", "-f", example("gpupolicy.yaml"), env=env)
    install = follow(env, lambda seen: len(seen.order) == NODES * len(STEPS), _INSTALLED_S)
    run(KUBECTL, "rollout", "status", "deployment/serve", "--timeout=30s", env=env, show=False)
    print()
    run(KUBECTL, "get", "gpunodes", env=env)
    run(KUBECTL, "get", "pods", "-o", "wide", env=env)

    run(KUBECTL, "apply", "-f", example("newer-driver.yaml"), env=env)
    upgrade = follow(env, lambda seen: seen.upgraded == NODES, _UPGRADED_S, install)
    run(
        KUBECTL,
        "wait",
        "gpunodes",
        "--all",
        "--for=condition=Validated",
        "--timeout=30s",
        env=env,
        show=False,
    )
    run(KUBECTL, "rollout", "status", "deployment/serve", "--timeout=30s", env=env, show=False)
    print()
    run(KUBECTL, "get", "gpunodes", env=env)
    run(KUBECTL, "get", "pods", "-o", "wide", env=env)

    expectations = {
        "without a policy no node offers a GPU, and the pods wait": all(map(offers_none, before))
        and all(pod["status"]["phase"] == "Pending" for pod in hanging),
        "every node got one piece after the other, and is validated": all(
            install.is_in_order(node["metadata"]["name"]) for node in before
        ),
        "one node got the newer driver first, alone": upgrade.was_alone_until_done,
        "never more than one node was taken out of use": upgrade.most_cordoned == 1,
        "every node has the newer driver, is validated, and in use again": all(
            node["status"]["driverVersion"] == NEW and condition(node, "Validated")["status"] == "True"
            for node in get(env, "gpunodes")
        )
        and not any(node["spec"].get("unschedulable") for node in get(env, "nodes")),
        "both pods run": sum(condition(pod, "Ready")["status"] == "True" for pod in get(env, "pods")) == 2,
    }
    for what, is_so in expectations.items():
        print(f"{'ok  ' if is_so else 'FAIL'}  {what}")
    print(
        f"\n{sum(expectations.values())} of {len(expectations)} expectations held, in {time.monotonic() - started:.1f} s"
    )
    return 0 if all(expectations.values()) else 1


@dataclass
class Seen:
    """What was to be seen of the nodes so far, told as it comes."""

    began: float = field(default_factory=time.monotonic)
    order: list[tuple[str, str]] = field(default_factory=list)
    """Node and step, as they were done."""
    states: dict[str, str] = field(default_factory=dict)
    most_cordoned: int = 0
    was_alone_until_done: bool = True
    upgraded: int = 0

    def look(self, nodes: list[dict[str, Any]], gpu_nodes: list[dict[str, Any]]) -> None:
        for node in gpu_nodes:
            name, done = node["metadata"]["name"], []
            for step in STEPS:
                if condition(node, step)["status"] == "True" and (name, step) not in self.order:
                    self.order.append((name, step))
                    done.append(step)
            if done:
                self._tell(name, ", ".join(done))
        for node in nodes:
            name, state = node["metadata"]["name"], node["metadata"]["labels"].get(STATE, "")
            if state and state != self.states.get(name):
                self._tell(name, state)
            self.states[name] = state
        under_way = [
            name
            for name, state in self.states.items()
            if state not in ("", "upgrade-required", "upgrade-done")
        ]
        done = [name for name, state in self.states.items() if state == "upgrade-done"]
        self.was_alone_until_done &= len(under_way) + len(done) <= 1 or bool(done)
        self.most_cordoned = max(
            self.most_cordoned, sum(bool(node["spec"].get("unschedulable")) for node in nodes)
        )
        self.upgraded = len(done)

    def is_in_order(self, node: str) -> bool:
        steps = [step for name, step in self.order if name == node]
        # The exporter and what follows the agent go together.
        first = [step for step in steps if step in ("DriverReady", "ToolkitReady", "AgentReady", "Validated")]
        return len(steps) == len(STEPS) and first == [
            "DriverReady",
            "ToolkitReady",
            "AgentReady",
            "Validated",
        ]

    def _tell(self, node: str, what: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {node}  {what}", flush=True)


def follow(
    env: dict[str, str], done: Callable[[Seen], bool], within_s: float, before: Seen | None = None
) -> Seen:
    """`before`: what was seen earlier is not told again."""
    seen = Seen(order=list(before.order) if before is not None else [])
    while time.monotonic() < seen.began + within_s:
        seen.look(get(env, "nodes"), get(env, "gpunodes"))
        if done(seen):
            return seen
        time.sleep(_LOOK_S)
    raise SystemExit(f"demo: not within {within_s:.0f} s; kubectl get gpupolicy gpus -o yaml says why")


def offers_none(node: dict[str, Any]) -> bool:
    return not any(name.startswith("nvidia.com/") for name in node["status"]["allocatable"])


def condition(found: dict[str, Any], kind: str) -> dict[str, str]:
    """An empty one where there is none."""
    listed = found.get("status", {}).get("conditions", [])
    return next((one for one in listed if one["type"] == kind), {"status": "", "message": ""})


def example(name: str) -> str:
    return str(EXAMPLES / "gpu-operator" / name)


def get(env: dict[str, str], what: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(KUBECTL, "get", what, "-o", "json", env=env, show=False))[
        "items"
    ]
    return found


if __name__ == "__main__":
    sys.exit(main())
