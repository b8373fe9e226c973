"""As users have it: botocore over HTTP, the fake of EKS, and moto's server behind it. The example of the manual is made, and taken away."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.main import cli
from aliquot.eks.aws.boto import Boto
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.world import World
from aliquot.eks.provision import provisioning
from aliquot.eks.provision.cluster_config.reading import read
from aliquot.eks.provision.creating import Creation
from aliquot.eks.provision.deleting import Deletion
from aliquot.eks.provision.names import Names
from aliquot.eks.versions import calendar
from aliquot.eks.versions.for_fake import known
from tests.eks.fake.serving import Clocked, served
from tests.eks.fake.worlds import MODEL
from tests.eks.provision.accounts import TODAY

EXAMPLE = Path(__file__).parents[3] / "examples" / "eks" / "cluster.yaml"
REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@asynccontextmanager
async def world() -> AsyncIterator[tuple[Clocked, World, str]]:
    clock = Clocked()
    told = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=REGION)
    async with served(Service(told, MODEL), clock) as url:
        yield clock, told, url


async def command(arguments: list[str], said: str = "") -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(cli, arguments, input=said))


async def test_the_example_is_made_once_and_goes_whole() -> None:
    async with world() as (clock, told, url), Boto(region=REGION, endpoints={"": url}) as api:

        async def pause(seconds: float) -> None:
            clock.now_s += seconds

        wanted = read(EXAMPLE)
        seen = await provisioning.look(api, wanted, calendar.shipped(), TODAY, pause)
        assert list(seen.wrong) == []
        assert len(seen.missing) == len(seen.graph.resources)
        creation = Creation(api, "vision", pause=pause, tell=lambda line: None)
        await creation.run(seen.graph.resources)
        cluster = told.clusters["vision"]
        assert cluster.minor == "1.31"
        assert {name: one.told["amiType"] for name, one in cluster.nodegroups.items()} == {
            "cpu": "AL2023_x86_64_STANDARD",
            "gpu": "AL2023_x86_64_NVIDIA",
        }
        assert {one.told["status"] for one in cluster.nodegroups.values()} == {"ACTIVE"}
        assert set(cluster.addons) == {
            "vpc-cni",
            "kube-proxy",
            "eks-pod-identity-agent",
            "coredns",
            "aws-ebs-csi-driver",
        }
        again = await provisioning.look(api, wanted, calendar.shipped(), TODAY, pause)
        assert again.missing == ()

        # The command says the same, and what goes.
        options = ["--endpoint-url", url]
        shown = await command(["eks", "create", "-f", str(EXAMPLE), "--dry-run", *options])
        assert (
            f"# 0 calls; {len(seen.graph.resources)} of {len(seen.graph.resources)} are there" in shown.stdout
        )
        goes = await command(["eks", "delete", "-f", str(EXAMPLE), "--dry-run", *options])
        assert goes.exit_code == 0
        assert goes.stdout.startswith("node group cpu\nnode group gpu\ncluster vision")

        work = Deletion(api, Names("vision", REGION, {}), pause=pause, tell=lambda line: None)
        assert [one.title for one in await work.remains()] == goes.stdout.splitlines()
        await work.run()
        assert told.clusters == {}
        nothing = await command(["eks", "delete", "vision", "--yes", "--region", REGION, *options])
        assert nothing.stdout == f"nothing of vision is there in {REGION}\n"


async def test_a_dry_run_shows_every_call_and_what_is_known_of_the_price(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(EXAMPLE.read_text().replace('"1.31"', '"1.35"'))
    async with world() as (_, told, url):
        arguments = ["eks", "create", "-f", str(file), "--dry-run", "--endpoint-url", url]
        result = await command(arguments)
        assert result.exit_code == 0, result.output
        calls = [line for line in result.stdout.splitlines() if not line.startswith("#")]
        assert calls[0].startswith('ec2:CreateVpc {"CidrBlock": "10.42.0.0/16", ')
        assert any(
            line.startswith(
                'eks:CreateCluster {"name": "vision", "version": "1.35", "roleArn": "<role/cluster: Arn>"'
            )
            for line in calls
        )
        assert "control plane 0.10, " in result.stdout
        assert "# not priced: 1 NAT gateway, disks, traffic, logs" in result.stdout
        assert f"# {len(calls)} calls; 0 of {len(calls)} are there" in result.stdout
        # Without a yes nothing is made.
        arguments.remove("--dry-run")
        result = await command(arguments, "n\n")
        assert result.exit_code == 1
        assert "Make it?" in result.stderr
        assert told.clusters == {}
        region = await command([*arguments, "--region", "us-east-1"])
        assert "leave it out" in region.stderr
        file.write_text(file.read_text().replace("p4d.24xlarge", "p4d.23xlarge"))
        refused = await command(arguments)
        assert refused.exit_code == 1
        assert f"{file}:" in refused.stderr
        assert "eu-west-1 does not offer p4d.23xlarge: take another type or region" in refused.stderr


async def test_without_credentials_it_is_one_line_that_says_how_to_get_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for arguments in (["create", "-f", str(EXAMPLE), "--dry-run"], ["delete", "-f", str(EXAMPLE)]):
        result = await command(["eks", *arguments])
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert "Unable to locate credentials: sign in first (aws sso login, AWS_PROFILE, or keys" in line
