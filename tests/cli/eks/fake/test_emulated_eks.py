"""A whole story against `aliquot eks fake`: boto3 on one side, a Kubernetes client on the other, clusters between."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aliquot.cli.eks.connecting import connect_eks
from aliquot.cli.eks.fake import serving as serving_
from aliquot.cli.eks.fake.command import environment
from aliquot.cli.eks.fake.serving import Running, serving
from aliquot.clock import SystemClock
from aliquot.eks.aws.boto import Boto
from aliquot.eks.estate import reading_aws
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    DAEMONSETS,
    DEPLOYMENTS,
    NODES,
    PODDISRUPTIONBUDGETS,
    PODS,
    SECRETS,
    Resource,
)
from tests.eks.fake.serving import emptied_moto

REGION = "eu-west-1"
START_S = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
SPEED = 300.0
ROLE = "arn:aws:iam::123456789012:role/eks"
OLD_FLOWS = Resource("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas", "FlowSchema", namespaced=False)
FLOWS = Resource("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", namespaced=False)
"""Of real time, and generous: nothing here is measured."""
_SOON_S = 60.0


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    # Its own moto is what `command` has below.
    monkeypatch.setattr(serving_, "Moto", lambda region: emptied_moto())
    for name, value in environment("", REGION).items():
        if name != "AWS_ENDPOINT_URL":
            monkeypatch.setenv(name, value)


class Account:
    def __init__(self, api: Boto, running: Running) -> None:
        self.api = api
        self.running = running
        self.subnets: list[str] = []

    async def eks(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return await self.api.call("eks", operation, **parameters)

    async def network(self) -> None:
        vpc = (await self.api.call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
        for number, zone in enumerate("ab"):
            cidr = f"10.0.{number}.0/24"
            made = await self.api.call(
                "ec2", "CreateSubnet", VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}"
            )
            self.subnets.append(made["Subnet"]["SubnetId"])

    async def cluster(self, version: str) -> dict[str, Any]:
        await self.eks(
            "CreateCluster",
            name="prod",
            version=version,
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": self.subnets},
            accessConfig={"authenticationMode": "API"},
        )

        async def told() -> dict[str, Any]:
            found: dict[str, Any] = (await self.eks("DescribeCluster", name="prod"))["cluster"]
            return found

        made: dict[str, Any] = await until(told, lambda cluster: cluster["status"] == "ACTIVE")
        return made

    async def group(self) -> dict[str, Any]:
        found: dict[str, Any] = (
            await self.eks("DescribeNodegroup", clusterName="prod", nodegroupName="gpu")
        )["nodegroup"]
        return found

    async def update(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Begun, and waited for."""
        begun = (await self.eks(operation, **parameters))["update"]
        of = {"name": "prod", "updateId": begun["id"]}
        if "nodegroupName" in parameters:
            of["nodegroupName"] = parameters["nodegroupName"]

        async def told() -> dict[str, Any]:
            found: dict[str, Any] = (await self.eks("DescribeUpdate", **of))["update"]
            return found

        ended: dict[str, Any] = await until(told, lambda update: update["status"] != "InProgress")
        return ended

    async def roll(self, version: str) -> dict[str, Any]:
        return await self.update(
            "UpdateNodegroupVersion", clusterName="prod", nodegroupName="gpu", version=version
        )

    @asynccontextmanager
    async def kubernetes(self) -> AsyncIterator[Client]:
        async with connect_eks(self.api, await reading_aws.cluster(self.api, "prod")) as client:
            yield client


async def until(look: Callable[[], Awaitable[Any]], enough: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(_SOON_S):
        while not enough(seen := await look()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return seen


@asynccontextmanager
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    async with (
        serving(
            region=REGION,
            start_s=START_S,
            speed=SPEED,
            port=0,
            directory=tmp_path / "data",
            clock=SystemClock(),
            say=lambda _: None,
        ) as running,
        Boto(region=REGION, endpoints={"": running.url}) as api,
    ):
        made = Account(api, running)
        await made.network()
        yield made


async def minor_of(client: Client) -> str:
    found: str = json.loads(await client.get_raw("/version"))["gitVersion"]
    return found


async def nodes(client: Client) -> dict[str, str]:
    """Kubelets' minors by node, of those that are ready."""
    return {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"][:5]
        for node in (await client.list(NODES)).items
        if any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])
    }


async def gpus(client: Client) -> list[str]:
    return [
        node["status"]["allocatable"].get("nvidia.com/gpu", "0") for node in (await client.list(NODES)).items
    ]


def web() -> dict[str, Any]:
    labels = {"app": "web"}
    container = {"name": "web", "image": "web", "resources": {"limits": {"nvidia.com/gpu": "4"}}}
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def test_a_cluster_is_made_rolled_upgraded_and_brought_back(tmp_path: Path) -> None:
    async with account(tmp_path) as aws:
        cluster = await aws.cluster("1.31")
        assert cluster["endpoint"].startswith("https://127.0.0.1:")
        await aws.eks(
            "CreateNodegroup",
            clusterName="prod",
            nodegroupName="gpu",
            nodeRole=ROLE,
            subnets=aws.subnets,
            amiType="AL2023_x86_64_NVIDIA",
            instanceTypes=["p5.48xlarge"],
            scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": 2},
        )
        group = await until(aws.group, lambda told: told["status"] != "CREATING")
        assert group["status"] == "ACTIVE"
        async with aws.kubernetes() as client:
            assert await minor_of(client) == "v1.31.0-eks-fake"
            first = await nodes(client)
            assert set(first.values()) == {"v1.31"}
            assert await until(lambda: gpus(client), lambda seen: seen == ["8", "8"])

            # What 1.32 does not serve is served, and somebody has it.
            await client.create(
                OLD_FLOWS,
                {
                    "metadata": {"name": "shop"},
                    "spec": {
                        "matchingPrecedence": 1000,
                        "priorityLevelConfiguration": {"name": "workload-low"},
                    },
                },
            )
            assert b'removed_release="1.32"' in await client.get_raw("/metrics")
            asked = aws.running.service.world.fleet.requested("prod")
            assert {(one.version, one.resource) for one in asked} == {("v1beta3", "flowschemas")}
            assert all(one.last_s >= START_S for one in asked)

            assert (await aws.update("UpdateClusterVersion", name="prod", version="1.32"))[
                "status"
            ] == "Successful"
            assert await until(lambda: minor_of(client), lambda seen: seen == "v1.32.0-eks-fake")
            with pytest.raises(errors.NotFound):
                await client.list(OLD_FLOWS)
            assert (await client.get(FLOWS, "shop"))["spec"]["matchingPrecedence"] == 1000

            # A budget that allows nothing stands in the way of a roll.
            await client.create(DEPLOYMENTS, web())
            budget = {
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
            }
            await client.create(PODDISRUPTIONBUDGETS, budget)
            await until(
                lambda: client.get(DEPLOYMENTS, "web", "default"),
                lambda seen: seen["status"].get("readyReplicas") == 2,
            )
            failed = await aws.roll("1.32")
            assert failed["status"] == "Failed"
            assert failed["errors"][0]["errorCode"] == "PodEvictionFailure"
            assert set(first) & set(await nodes(client))
            await until(
                lambda: client.list(NODES),
                lambda seen: not any(node["spec"].get("unschedulable") for node in seen.items),
            )

            await client.delete(PODDISRUPTIONBUDGETS, "web", "default")
            assert (await aws.roll("1.32"))["status"] == "Successful"
            after = await until(
                lambda: nodes(client),
                lambda seen: not set(first) & set(seen) and list(seen.values()) == ["v1.32"] * 2,
            )
            await until(
                lambda: client.list(PODS, "default"),
                lambda seen: (
                    len(seen.items) == 2
                    and all(
                        pod["spec"].get("nodeName") in after and pod["status"]["phase"] == "Running"
                        for pod in seen.items
                    )
                ),
            )

            # What a group is given its nodes have.
            await aws.update(
                "UpdateNodegroupConfig",
                clusterName="prod",
                nodegroupName="gpu",
                labels={"addOrUpdateLabels": {"team": "ml"}},
                taints={"addOrUpdateTaints": [{"key": "team", "value": "ml", "effect": "NO_SCHEDULE"}]},
            )
            await until(
                lambda: client.list(NODES),
                lambda seen: all(
                    node["metadata"]["labels"].get("team") == "ml"
                    and {"key": "team", "value": "ml", "effect": "NoSchedule"} in node["spec"]["taints"]
                    for node in seen.items
                ),
            )
            await aws.update(
                "UpdateNodegroupConfig",
                clusterName="prod",
                nodegroupName="gpu",
                labels={"removeLabels": ["team"]},
                taints={"removeTaints": [{"key": "team", "value": "ml", "effect": "NO_SCHEDULE"}]},
            )
            await until(
                lambda: client.list(NODES),
                lambda seen: (
                    not any(
                        "team" in node["metadata"]["labels"] or node["spec"].get("taints")
                        for node in seen.items
                    )
                ),
            )

            # The way back: nodes first, then the control plane.
            assert (await aws.roll("1.31"))["status"] == "Successful"
            assert (await aws.update("UpdateClusterVersion", name="prod", version="1.31"))["type"] == (
                "VersionRollback"
            )
            assert await until(lambda: minor_of(client), lambda seen: seen == "v1.31.0-eks-fake")
            assert (await client.get(OLD_FLOWS, "shop"))["spec"]["matchingPrecedence"] == 1000

        await aws.eks("DeleteNodegroup", clusterName="prod", nodegroupName="gpu")
        await until(
            lambda: aws.eks("ListNodegroups", clusterName="prod"), lambda told: not told["nodegroups"]
        )
        await aws.eks("DeleteCluster", name="prod")
        await until(lambda: aws.eks("ListClusters"), lambda told: not told["clusters"])


async def image(client: Client, resource: Resource, name: str) -> str:
    found = await client.get(resource, name, "kube-system")
    told: str = found["spec"]["template"]["spec"]["containers"][0]["image"].rpartition("/")[2]
    return told


async def test_add_ons_are_pods_of_their_build(tmp_path: Path) -> None:
    async with account(tmp_path) as aws:
        await aws.cluster("1.32")
        known = aws.running.service.world.known
        proxy = known.default_build("kube-proxy", "1.31")
        assert proxy is not None
        async with aws.kubernetes() as client:
            assert "minimal-eksbuild" in await image(client, DAEMONSETS, "kube-proxy")
            await aws.eks(
                "CreateAddon", clusterName="prod", addonName="kube-proxy", addonVersion=proxy.version
            )
            await aws.eks("CreateAddon", clusterName="prod", addonName="metrics-server")
            tag = proxy.version.replace("-eksbuild", "-minimal-eksbuild")
            await until(
                lambda: image(client, DAEMONSETS, "kube-proxy"), lambda seen: seen == f"kube-proxy:{tag}"
            )
            await until(
                lambda: client.list(DEPLOYMENTS, "kube-system"),
                lambda seen: {one["metadata"]["name"] for one in seen.items} >= {"coredns", "metrics-server"},
            )
            await aws.eks(
                "CreateNodegroup",
                clusterName="prod",
                nodegroupName="gpu",
                nodeRole=ROLE,
                subnets=aws.subnets,
                instanceTypes=["m7i.xlarge"],
            )
            await until(
                lambda: client.get(DAEMONSETS, "kube-proxy", "kube-system"),
                lambda seen: seen["status"].get("numberReady") == 1,
            )
            (node,) = (await client.list(NODES)).items
            assert not [name for name in node["status"]["capacity"] if name.startswith("nvidia.com/")]


async def test_a_pod_of_a_fargate_profile_has_a_node_to_itself(tmp_path: Path) -> None:
    async with account(tmp_path) as aws:
        await aws.cluster("1.33")
        await aws.eks(
            "CreateFargateProfile",
            clusterName="prod",
            fargateProfileName="batch",
            podExecutionRoleArn=ROLE,
            selectors=[{"namespace": "default", "labels": {"app": "batch"}}],
            subnets=aws.subnets,
        )
        async with aws.kubernetes() as client:
            pod = {
                "metadata": {"name": "batch", "namespace": "default", "labels": {"app": "batch"}},
                "spec": {"containers": [{"name": "batch", "image": "batch"}]},
            }
            await client.create(PODS, pod)
            running = await until(
                lambda: client.get(PODS, "batch", "default"),
                lambda seen: seen["status"].get("phase") == "Running",
            )
            (node,) = (await client.list(NODES)).items
            assert running["spec"]["nodeName"] == node["metadata"]["name"]
            assert node["metadata"]["labels"]["eks.amazonaws.com/compute-type"] == "fargate"
            await client.delete(PODS, "batch", "default")
            await until(lambda: client.list(NODES), lambda seen: not seen.items)


async def test_access_entries_let_in_and_policies_allow(tmp_path: Path) -> None:
    async with account(tmp_path) as aws:
        await aws.cluster("1.33")
        await aws.api.call("iam", "CreateUser", UserName="ada")
        key = (await aws.api.call("iam", "CreateAccessKey", UserName="ada"))["AccessKey"]
        principal = "arn:aws:iam::123456789012:user/ada"
        with pytest.MonkeyPatch.context() as environment_:
            environment_.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            environment_.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            async with Boto(region=REGION, endpoints={"": aws.running.url}) as api:
                described = await reading_aws.cluster(aws.api, "prod")
                async with connect_eks(api, described) as client:
                    with pytest.raises(errors.Unauthorized):
                        await client.list(SECRETS)
                    await aws.eks("CreateAccessEntry", clusterName="prod", principalArn=principal)
                    with pytest.raises(errors.Forbidden):
                        await client.list(SECRETS)
                    await aws.eks(
                        "AssociateAccessPolicy",
                        clusterName="prod",
                        principalArn=principal,
                        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminViewPolicy",
                        accessScope={"type": "cluster"},
                    )
                    await client.list(SECRETS)
                    with pytest.raises(errors.Forbidden):
                        await client.create(DEPLOYMENTS, web())


@contextmanager
def command(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """`aliquot eks fake`, and what it told on stdout."""
    arguments = [sys.executable, "-m", "aliquot.cli.main", "eks", "fake", "--start", "2026-10-01"]
    environment_ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment_, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(len(environment("", REGION)))]
        try:
            yield process, told
        finally:
            process.kill()


def children(process: "subprocess.Popen[str]") -> list[Path]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert found
    return [Path("/proc", child) for child in found]


def runs(process: Path) -> bool:
    """One that has ended and that nobody has taken note of does not."""
    try:
        return Path(process, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_command_tells_how_to_reach_it_and_leaves_nothing(tmp_path: Path) -> None:
    with command(tmp_path) as (process, told):
        assert told[0].startswith("export AWS_ENDPOINT_URL=http://127.0.0.1:")
        assert f"export AWS_REGION={REGION}" in told
        moto = children(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(_SOON_S) == 0
        assert not any(runs(child) for child in moto)
    assert not [one for one in tmp_path.iterdir() if one.name.startswith("aliquot-eks-fake")]


async def test_a_killed_one_takes_moto_along(tmp_path: Path) -> None:
    with command(tmp_path) as (process, _):
        moto = children(process)
        process.kill()
        process.wait(_SOON_S)

        async def alive() -> bool:
            return any(runs(child) for child in moto)

        await until(alive, lambda any_: not any_)
