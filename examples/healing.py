"""A fragmented cluster heals itself: half of every GPU is free, a pod needs a whole one, and one pod is moved for it.

Everything here goes through the command line that users have: `aliquot` and an unmodified kubectl. Drawn before and after.
Exit code 0 only if every expectation held.
"""

import json
import os
import sys
import tempfile
import time

from demo import ALIQUOT, BIN, EXAMPLES, KUBECTL, run  # type: ignore[import-not-found]  # the script beside this one

_FITS_S = 60.0
_OLD_ENOUGH_S = 12.0
"""`aliquot up` moves no pod that is younger than ten seconds."""


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aliquot-demo-") as state:
        env = {
            **os.environ,
            "KUBECONFIG": f"{state}/kubeconfig",
            "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        }
        inventory = str(EXAMPLES / "inventories/four-in-mig-mode.yaml")
        partitioning = ("--partitioning", "budgeted")
        run(ALIQUOT, "up", "--detach", "--state", state, "--inventory", inventory, *partitioning, env=env)
        try:
            return show(env, started)
        finally:
            run(ALIQUOT, "down", "--state", state, env=env, show=False)


def show(env: dict[str, str], started: float) -> int:
    run(KUBECTL, "apply", "-f", str(EXAMPLES / "healing/fragments.yaml"), env=env)
    for name in ("service", "filler"):
        run(KUBECTL, "rollout", "status", f"statefulset/{name}", "--timeout=60s", env=env, show=False)
    run(KUBECTL, "delete", "statefulset", "filler", env=env)
    run(KUBECTL, "wait", "pod", "-l", "app=filler", "--for=delete", "--timeout=60s", env=env, show=False)
    time.sleep(_OLD_ENOUGH_S)
    print("Before: 160 GB are free, and nowhere 80 of them together.\n")
    run(ALIQUOT, "gpu", "list", env=env)
    before = pods(env)

    run(KUBECTL, "apply", "-f", str(EXAMPLES / "healing/training.yaml"), env=env)
    run(KUBECTL, "wait", "pod/training", "--for=condition=Ready", f"--timeout={_FITS_S:.0f}s", env=env)
    run(KUBECTL, "rollout", "status", "statefulset/service", "--timeout=60s", env=env, show=False)
    print("After: one service moved in with another.\n")
    run(ALIQUOT, "gpu", "list", env=env)
    run(KUBECTL, "get", "events", "--field-selector", "reason=Relocating", env=env)
    after = pods(env)

    moved = sum(before[name] != after.get(name) for name in before)
    expectations = {
        "the pod that needs a whole GPU runs": "training" in after,
        "all four services run": sum(name.startswith("service-") for name in after) == 4,
        "one pod was moved, and no other": moved == 1,
    }
    for what, is_so in expectations.items():
        print(f"{'ok  ' if is_so else 'FAIL'}  {what}")
    print(
        f"\n{sum(expectations.values())} of {len(expectations)} expectations held, in {time.monotonic() - started:.1f} s"
    )
    return 0 if all(expectations.values()) else 1


def pods(env: dict[str, str]) -> dict[str, str]:
    """Name -> uid of those that run."""
    found = json.loads(run(KUBECTL, "get", "pods", "-o", "json", env=env, show=False))["items"]
    return {
        pod["metadata"]["name"]: pod["metadata"]["uid"]
        for pod in found
        if pod["status"]["phase"] == "Running"
    }


if __name__ == "__main__":
    sys.exit(main())
