"""The commands that users run, run as they do."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ALIQUOT = BIN / "aliquot"
THREE_NODES = ROOT / "examples/inventories/three-nodes.yaml"

GIVEN = os.environ.get("ALIQUOT_E2E_KUBECONFIG", "")
"""The kubeconfig of a real cluster to test; empty: an emulated one of our own."""

RUNS = "registry.k8s.io/pause:3.10"
"""An image that runs until it is told to end, and that every node can have."""
RUNS_ANOTHER = "registry.k8s.io/pause:3.9"
SHELL = "busybox:1.37"

TOOLS = BIN.parent / "tools/bin"
"""Filled by `make tools`."""

# The pinned one, and an older one that speaks protobuf from its own descriptors.
AUDIT_LOG = "audit.log"
"""Beside the kubeconfig, where the cluster is an emulated one."""

KUBECTLS = (str(BIN / "kubectl"), str(TOOLS / "kubectl-1.34"))


def kubectl_name(path: str) -> str:
    return "pinned" if path.startswith(str(BIN)) else "older"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@dataclass
class Kubectl:
    """The real kubectl, in a namespace of its own."""

    kubeconfig: Path
    namespace: str = "default"
    binary: str = field(default_factory=lambda: str(BIN / "kubectl"))

    def run(
        self, *args: str, stdin: str = "", timeout_s: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        done = subprocess.run(
            [self.binary, "-n", self.namespace, *args],
            check=False,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            env={**self._environment(), **(env or {})},
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def __call__(self, *args: str, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
        result = self.run(*args, stdin=stdin, env=env)
        assert result.code == 0, f"kubectl {' '.join(args)}: {result.err}"
        return result.out

    def refused(self, *args: str, stdin: str = "") -> str:
        """What a command that must fail says."""
        result = self.run(*args, stdin=stdin)
        assert result.code != 0, f"kubectl {' '.join(args)} succeeds: {result.out}"
        return result.err

    def cells(self, *args: str) -> list[list[str]]:
        """The rows of a table, its header first; cells are at least two spaces apart."""
        return [re.split(r"\s{2,}", line.strip()) for line in self(*args).splitlines()]

    @contextmanager
    def running(self, *args: str) -> Iterator[IO[str]]:
        """A command that goes on: its output."""
        process = subprocess.Popen(
            [self.binary, "-n", self.namespace, *args],
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()
            process.communicate()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "NO_COLOR": "1"}

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "-o", "json"))


def aliquot(*args: str | Path, env: dict[str, str] | None = None, timeout_s: float = 150) -> Result:
    done = subprocess.run(
        [ALIQUOT, *args],
        check=False,
        text=True,
        capture_output=True,
        timeout=timeout_s,
        env={**os.environ, **(env or {})},
    )
    return Result(done.returncode, done.stdout, done.stderr)


def eventually(check: Callable[[], Any], *, within_s: float = 30) -> Any:
    """The first truthy answer of `check`; its last answer or assertion error when none comes in time."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if answer := check():
                return answer
            problem: AssertionError | None = None
        except AssertionError as error:
            problem = error
        if time.monotonic() > deadline:
            raise problem or AssertionError(f"not within {within_s} s")
        time.sleep(0.1)
