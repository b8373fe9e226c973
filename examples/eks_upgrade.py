"""A cluster of EKS from its first day to its last: made, looked at, mended, upgraded twice in place, taken back, taken away.

AWS is a fake on this machine whose clock begins on 2026-10-01, when 1.31 can still be made. Five things in the cluster would break
an upgrade: a preflight has to find them, and pass once they are mended. A training job runs on the GPU nodes all the while, and may not
be cut. Everything here goes through the command line that users have: `aliquot` and an unmodified kubectl, and what the AWS CLI
would call. Exit code 0 only if every expectation held.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
from demo import ALIQUOT, BIN, EXAMPLES, KUBECTL, run  # type: ignore[import-not-found]  # the scripts beside this one
from eks_gang import Gang  # type: ignore[import-not-found]

CLUSTER, REGION = "vision", "eu-west-1"
START, SPEED = "2026-10-01", 60
OLD_RELEASE, NEW_RELEASE = "1.31.7-20250620", "1.31.14-20260610"
"""Of the AMI of the GPU nodes: drivers 570.158 and 580.159."""
VCPUS = {"L-1216C47A": "for m5.large", "L-DB2E81BA": "for g5.12xlarge"}
LEFT_FREE = 4
PLANTED = {
    "removed-apis": "FlowSchema shop",
    "webhooks": "webhook prices.shop.example.com",
    "budgets": "PodDisruptionBudget shop/web",
    "gpu-driver": "node group gpu",
    "free-addresses": "subnet ",
}
"""By check, of what it has to be."""
SAME = {"eks-insights", "pod-addresses"}
"""Checks that may see the same FlowSchema and the same subnet from another side."""
_BLOCKS = re.compile(r"^block +(.+) \((?:.*, )?([a-z-]+)\)$", re.MULTILINE)
_BEGIN_S, _UPDATE_S = 60.0, 120.0

WAIVERS = """waivers:
- check: removed-apis
  what: FlowSchema
  where: requests to the API server
  reason: mended on {today}; the API server goes on counting what was asked before
  expires: {later}
- check: eks-insights
  what: insight *
  reason: mended on {today}; EKS counts what was asked in the last 30 days
  expires: {later}
"""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="aliquot-demo-") as state, fake(Path(state)) as told:
        env = {
            **os.environ,
            **told,
            "ALIQUOT_EKS_DATA": f"{state}/records",
            "KUBECONFIG": f"{state}/eks/{CLUSTER}/kubeconfig",
            "PATH": f"{BIN}:{os.environ.get('PATH', '')}",
        }
        held = Story(env, Path(state)).tell()
    for what, is_so in held.items():
        print(f"{'ok  ' if is_so else 'FAIL'}  {what}")
    print(f"\n{sum(held.values())} of {len(held)} expectations held, in {time.monotonic() - started:.1f} s")
    return 0 if all(held.values()) else 1


@contextmanager
def fake(state: Path) -> Iterator[dict[str, str]]:
    """What is to be set to reach it, as long as it is there."""
    command = ("eks", "fake", "--start", START, "--speed", str(SPEED), "--region", REGION)
    print(f"$ {shlex.join(['aliquot', *command])} > aws.env &", flush=True)
    out, log = state / "aws.env", state / "fake.log"
    with out.open("w") as stdout, log.open("w") as stderr:
        process = subprocess.Popen(
            [ALIQUOT, *command, "--data", str(state / "eks")], stdout=stdout, stderr=stderr
        )
    try:
        until = time.monotonic() + _BEGIN_S
        while "AWS_DEFAULT_REGION" not in out.read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"demo: the fake of AWS does not begin\n{log.read_text()}")
            time.sleep(0.2)
        lines = (line.removeprefix("export ").partition("=") for line in out.read_text().splitlines())
        print("$ . ./aws.env\n", flush=True)
        yield {name: value for name, _, value in lines}
    finally:
        process.terminate()
        process.wait()


class Story:
    def __init__(self, env: dict[str, str], state: Path) -> None:
        self._env = env
        self._state = state
        self._session = botocore.session.get_session()
        self._held: dict[str, bool] = {}

    def tell(self) -> dict[str, bool]:
        self._create()
        subnet = self._plant()
        with Gang(KUBECTL, self._env) as gang:
            self._find()
            self._mend(subnet)
            self._upgrade(gang)
            self._roll_back(gang)
        self._delete()
        return self._held

    # ---- chapters --------------------------------------------------------------------------------------------

    def _create(self) -> None:
        chapter("A cluster of 1.31 with GPU nodes")
        self._aliquot(
            "eks", "create", "-f", manifest("cluster.yaml"), "--yes", "--poll", "1",
            keep=lambda line: re.search(r"cluster vision|node group|USD|note:|: ready", line),
        )  # fmt: skip
        for code, types in VCPUS.items():
            self._aws(
                "service-quotas", "request-service-quota-increase", f"# vCPUs {types}",
                ServiceCode="ec2", QuotaCode=code, DesiredValue=768,
            )  # fmt: skip
        print()
        nodes = self._nodes()
        self._held["a cluster of 1.31 is there, with two GPU nodes of driver 570"] = (
            len(nodes) == 4
            and all(version.startswith("v1.31.") for version in nodes.values())
            and self._drivers() == {"570"}
        )

    def _plant(self) -> str:
        """The subnet that is filled."""
        chapter("What runs there, and five things that would break an upgrade")
        run(KUBECTL, "apply", "-f", manifest("workloads.yaml"), "-f", manifest("planted.yaml"), env=self._env)
        for what in ("deployment/web -n shop", "job/train -n ml"):
            self._wait(what)
        (subnet,) = self._ec2("describe_subnets", Filters=[
            {"Name": "tag:aliquot.dev/cluster", "Values": [CLUSTER]},
            {"Name": "tag:aliquot.dev/name", "Values": ["subnet/private/eu-west-1a"]},
        ])["Subnets"]  # fmt: skip
        id_ = str(subnet["SubnetId"])
        more = subnet["AvailableIpAddressCount"] - LEFT_FREE
        for number in range(more):
            told = f"# {more} times: {LEFT_FREE} addresses are left" if not number else None
            self._aws("ec2", "create-network-interface", told, SubnetId=id_, Description="of others")
        print()
        return id_

    def _find(self) -> None:
        chapter("The preflight finds them, and blocks")
        code, text = self._aliquot(
            "eks", "preflight", CLUSTER, "--to", "1.32",
            keep=_blocking(), codes=(0, 4),
        )  # fmt: skip
        found = _BLOCKS.findall(text)
        for check, what in PLANTED.items():
            self._held[f"the preflight finds it: {check}, {what.strip()}"] = any(
                check == by and what in of for of, by in found
            )
        self._held["it blocks, and finds nothing else"] = code == 4 and {by for _, by in found} <= {*PLANTED, *SAME}  # fmt: skip

    def _mend(self, subnet: str) -> None:
        chapter("They are mended")
        run(KUBECTL, "apply", "-f", manifest("mended.yaml"), env=self._env)
        run(KUBECTL, "delete", "validatingwebhookconfiguration", "prices", env=self._env)
        filters = [
            {"Name": "subnet-id", "Values": [subnet]},
            {"Name": "description", "Values": ["of others"]},
        ]
        others = self._ec2("describe_network_interfaces", Filters=filters)["NetworkInterfaces"]
        for number, one in enumerate(others):
            told = f"# {len(others)} times" if not number else None
            self._aws("ec2", "delete-network-interface", told, NetworkInterfaceId=one["NetworkInterfaceId"])
        # As one does by hand what `aliquot eks upgrade` will do by itself: who trains is not cut.
        self._suspend(True)
        asked = self._aws(
            "eks", "update-nodegroup-version", "",
            clusterName=CLUSTER, nodegroupName="gpu", releaseVersion=NEW_RELEASE,
        )  # fmt: skip
        self._await_update(asked["update"]["id"])
        self._suspend(False)
        self._wait("job/train -n ml")
        today = datetime.now(UTC).date()
        waivers = WAIVERS.format(today=today, later=today + timedelta(days=30))
        (self._state / "waivers.yaml").write_text(waivers)
        print(f"$ cat waivers.yaml\n{waivers}", flush=True)
        code, _ = self._aliquot(
            "eks", "preflight", CLUSTER, "--to", "1.32", "--waivers", str(self._state / "waivers.yaml"),
            keep=_blocking(), codes=(0, 4, 6),
        )  # fmt: skip
        self._held["the GPU nodes have driver 580"] = self._drivers() == {"580"}
        self._held["the preflight passes: nothing blocks, and nothing is unchecked"] = code == 0

    def _upgrade(self, gang: Gang) -> None:
        chapter("1.31 to 1.32 to 1.33, in place")
        plan = str(self._state / "plan.json")
        self._aliquot(
            "eks", "plan", CLUSTER, "--to", "1.33", "--soak", "10s", "--checkpoint", "2m",
            "--waivers", str(self._state / "waivers.yaml"), "--out", plan,
            keep=lambda line: not line.startswith(("1.33/", "disturbed by 1.33/")),
        )  # fmt: skip
        code, text = self._aliquot(
            "eks", "upgrade", CLUSTER, "--plan", plan, "--yes", "--poll", "1", codes=(0, 1, 3)
        )
        self._wait("job/train -n ml")
        run(KUBECTL, "get", "pods", "-n", "ml", "-o", "wide", env=self._env)
        self._held["the upgrade is done, and what there was before is there"] = code == 0 and all(
            f"{minor}/verify  all that there was is there" in text for minor in ("1.32", "1.33")
        )
        self._held["control plane and nodes are at 1.33"] = self._all_at("1.33")
        self._held["the job was suspended as a whole in each hop, after it had saved, and went on"] = (
            gang.suspended_by_runs == 2 and gang.saved_before_each and gang.runs
        )

    def _roll_back(self, gang: Gang) -> None:
        chapter("Back to 1.32")
        code, _ = self._aliquot("eks", "rollback", CLUSTER, "--yes", "--poll", "1", codes=(0, 1, 3))
        self._wait("job/train -n ml")
        self._held["it is rolled back: control plane and nodes are at 1.32"] = code == 0 and self._all_at(
            "1.32"
        )
        self._held["the job was suspended and resumed for it, too"] = (
            gang.suspended_by_runs == 3 and gang.saved_before_each and gang.runs
        )
        self._held["no pod of the job was evicted, or ended while it was not suspended"] = gang.was_never_cut
        self._aliquot("eks", "status")

    def _delete(self) -> None:
        chapter("And all of it away again")
        _, text = self._aliquot(
            "eks", "delete", CLUSTER, "--yes", "--poll", "1",
            keep=lambda line: re.match(r"cluster|node group|VPC|nothing", line),
        )  # fmt: skip
        tag = [{"Name": "tag:aliquot.dev/cluster", "Values": [CLUSTER]}]
        roles = self._client("iam").list_roles()["Roles"]
        self._held["nothing is left of it at AWS"] = (
            f"nothing of {CLUSTER} is left" in text
            and not self._client("eks").list_clusters()["clusters"]
            and not self._ec2("describe_vpcs", Filters=tag)["Vpcs"]
            and not self._ec2("describe_subnets", Filters=tag)["Subnets"]
            and not [one for one in roles if one["RoleName"].startswith(CLUSTER)]
        )

    # ---- the cluster -----------------------------------------------------------------------------------------

    def _nodes(self) -> dict[str, str]:
        """Versions of kubelets."""
        run(KUBECTL, "get", "nodes", "-L", "eks.amazonaws.com/nodegroup", env=self._env)
        nodes = self._get("nodes")
        return {one["metadata"]["name"]: one["status"]["nodeInfo"]["kubeletVersion"] for one in nodes}

    def _drivers(self) -> set[str]:
        label = "nvidia.com/cuda.driver-version.major"
        until = time.monotonic() + _BEGIN_S
        while True:
            gpu = self._get("nodes", "-l", "eks.amazonaws.com/nodegroup=gpu")
            found = {one["metadata"]["labels"].get(label, "") for one in gpu}
            if "" not in found or time.monotonic() > until:
                return found
            time.sleep(0.5)

    def _all_at(self, minor: str) -> bool:
        nodes = self._nodes()
        version = json.loads(run(KUBECTL, "version", "-o", "json", env=self._env, show=False))
        server = str(version["serverVersion"]["gitVersion"])
        print(f"the API server is {server}\n", flush=True)
        return len(nodes) == 4 and all(one.startswith(f"v{minor}.") for one in (server, *nodes.values()))

    def _suspend(self, whether: bool) -> None:
        patch = json.dumps({"spec": {"suspend": whether}})
        run(KUBECTL, "patch", "job", "train", "-n", "ml", "--type", "merge", "-p", patch, env=self._env)

    def _wait(self, what: str) -> None:
        kind, *namespace = what.split()
        if kind.startswith("deployment/"):
            run(KUBECTL, "rollout", "status", kind, *namespace, "--timeout=60s", env=self._env, show=False)
            return
        until = time.monotonic() + _BEGIN_S
        while time.monotonic() < until:
            (job,) = [
                one for one in self._get("jobs", *namespace) if f"job/{one['metadata']['name']}" == kind
            ]
            if job["status"].get("ready") == job["spec"]["parallelism"]:
                return
            time.sleep(0.5)
        raise SystemExit(f"demo: the pods of {kind} do not run\n{json.dumps(job['status'], indent=1)}")

    def _get(self, *what: str) -> list[dict[str, Any]]:
        text = run(KUBECTL, "get", *what, "-o", "json", env=self._env, show=False)
        found: list[dict[str, Any]] = json.loads(text)["items"]
        return found

    # ---- AWS -------------------------------------------------------------------------------------------------

    def _client(self, service: str) -> Any:
        return self._session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self._env["AWS_ENDPOINT_URL"],
            aws_access_key_id=self._env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._env["AWS_SECRET_ACCESS_KEY"],
        )

    def _ec2(self, operation: str, **parameters: Any) -> Any:
        return getattr(self._client("ec2"), operation)(**parameters)

    def _aws(self, service: str, operation: str, told: str | None, **parameters: Any) -> Any:
        """A call, shown as the AWS CLI makes it; `told` None: not again."""
        if told is not None:
            options = [
                word
                for name, value in parameters.items()
                for word in (f"--{botocore.xform_name(name, '-')}", str(value))
            ]
            print(f"$ aws {service} {operation} {shlex.join(options)}  {told}".rstrip(), flush=True)
        return getattr(self._client(service), operation.replace("-", "_"))(**parameters)

    def _await_update(self, update: str) -> None:
        until = time.monotonic() + _UPDATE_S
        while time.monotonic() < until:
            asked = {"name": CLUSTER, "nodegroupName": "gpu", "updateId": update}
            found = self._client("eks").describe_update(**asked)["update"]
            if found["status"] != "InProgress":
                print(f"{found['type']} of gpu: {found['status']}\n", flush=True)
                return
            time.sleep(0.5)
        raise SystemExit(f"demo: the update {update} of gpu does not end")

    # ---- Aliquot ---------------------------------------------------------------------------------------------

    def _aliquot(
        self,
        *arguments: str,
        keep: Callable[[str], Any] = bool,
        codes: tuple[int, ...] = (0,),
    ) -> tuple[int, str]:
        """Its exit code and all that it said; of that is shown, as it comes, what is to be kept."""
        print(f"$ {shlex.join(['aliquot', *arguments])}", flush=True)
        lines, left_out = [], 0
        with subprocess.Popen(
            [ALIQUOT, *arguments], env=self._env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if keep(line.rstrip()):
                    print(line, end="", flush=True)
                else:
                    left_out += bool(line.strip())
        if left_out:
            print(f"({left_out} lines more)")
        print(flush=True)
        text = "".join(lines)
        if process.returncode not in codes:
            raise SystemExit(f"demo: aliquot {' '.join(arguments)} ended with {process.returncode}\n{text}")
        return process.returncode, text


def _blocking() -> Callable[[str], bool]:
    """Lines of findings that block, with what belongs to them, and the last one."""
    kept = False

    def keep(line: str) -> bool:
        nonlocal kept
        if not line.startswith(" "):
            kept = line.startswith(("block", "not checked", f"{CLUSTER}, "))
        return kept

    return keep


def chapter(title: str) -> None:
    print(f"\n== {title} ==\n", flush=True)


def manifest(name: str) -> str:
    return os.path.relpath(str(EXAMPLES / "eks" / "upgrade" / name))


if __name__ == "__main__":
    sys.exit(main())
