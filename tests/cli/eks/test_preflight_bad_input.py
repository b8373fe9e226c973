"""`aliquot eks preflight` where AWS, an API server or whoever types gives it nothing good: one line, and nothing that counts as passed.

AWS is the fake without HTTP here, the API server the emulator's; how botocore's own errors become lines is in tests/eks/aws.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.eks import preflight as command
from aliquot.cli.eks.connecting import AwsOptions
from aliquot.cli.eks.group import eks
from aliquot.clock import SystemClock
from aliquot.eks.aws.api import Failure
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.faults import Fault, Kind
from tests.eks.estate.test_reading_kubernetes import client, cluster, filled
from tests.eks.fake.worlds import Account


class Door(Direct):
    clock = SystemClock()

    async def __aenter__(self) -> "Door":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def door(account: Account) -> Door:
    return Door(
        account.service,
        now=lambda: account.now_s,
        failed=Failure,
        subnets=account.subnets,
        others={
            ("ec2", "DescribeSubnets"): lambda _: {"Subnets": account.subnets()},
            ("ec2", "DescribeInstanceTypes"): lambda _: {"InstanceTypes": []},
            ("ec2", "DescribeInstances"): lambda _: {"Reservations": []},
            ("ec2", "DescribeVolumes"): lambda _: {"Volumes": []},
            ("service-quotas", "ListServiceQuotas"): lambda _: {"Quotas": []},
        },
    )


Connect = Callable[[str | None, str | None], AbstractAsyncContextManager[Any]]


def as_user(user: str, *groups: str) -> Connect:
    @asynccontextmanager
    async def connect(_: str | None, __: str | None) -> AsyncIterator[Any]:
        async with cluster() as server:
            admin, caller = client(server), client(server, user, groups)
            await filled(admin)
            yield caller
            await admin.close()
            await caller.close()

    return connect


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    made = Account()
    monkeypatch.setattr(AwsOptions, "connect", lambda _: door(made))
    monkeypatch.setattr(command, "connect", as_user("admin", "system:masters"))
    # Whatever is read here, the process lives on: the garbage of other tests is to be collected.
    monkeypatch.setattr("aliquot.kube.cache.settle_gc", lambda: None)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(eks, ["preflight", *arguments])


def on_prod(to: str, *more: str) -> Result:
    return run("prod", "--to", to, "--kubeconfig", "the-emulators", *more)


def refused(result: Result, says: str) -> None:
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_a_cluster_that_is_not_there(account: Account) -> None:
    refused(on_prod("1.32"), "No cluster found for name: prod")


def test_the_permission_to_look_at_the_cluster_is_missing(account: Account) -> None:
    account.cluster("1.31")
    account.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="DescribeCluster", code="AccessDeniedException", message="no")
    ]
    refused(on_prod("1.32"), "eks:DescribeCluster: no")


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_what_aws_does_not_tell_is_not_checked(account: Account, code: str) -> None:
    account.cluster("1.33")
    account.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="ListInsights", code=code, message="no", times=9)
    ]
    result = on_prod("1.34")
    assert "not checked EKS insights: no" in result.stdout
    assert result.exit_code in (4, 6)


@pytest.mark.parametrize("to", ["1.31", "1.30"])
def test_a_target_that_does_not_lead_on(account: Account, to: str) -> None:
    account.cluster("1.31")
    refused(on_prod(to), "prod is at 1.31 already")


def test_a_minor_that_nobody_knows(account: Account) -> None:
    account.cluster("1.36")
    result = on_prod("1.99")
    assert result.exit_code == 4
    assert "EKS has no 1.38" in result.stdout


def test_a_jump_over_minors_is_judged_hop_by_hop(account: Account) -> None:
    account.cluster("1.31")
    result = on_prod("1.33")
    assert "prod, 1.31 to 1.33" in result.stdout
    assert "EKS has no" not in result.stdout


def test_a_cluster_that_is_being_updated(account: Account) -> None:
    account.cluster("1.31")
    account.call("UpdateClusterVersion", name="prod", version="1.32")
    result = on_prod("1.33")
    assert result.exit_code == 4
    assert "(VersionUpdate) is in progress" in result.stdout


def test_kinds_that_may_not_be_listed_are_not_checked(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.cluster("1.33")
    monkeypatch.setattr(command, "connect", as_user("v", "system:authenticated"))
    result = on_prod("1.34")
    assert result.exit_code == 6
    assert "not checked all nodes" in result.stdout
    assert "not checked all pods" in result.stdout


def test_an_api_server_that_does_not_answer(account: Account, tmp_path: Path, monkeypatch: Any) -> None:
    from aliquot.cli.connect import connect

    account.cluster("1.31")
    monkeypatch.setattr(command, "connect", connect)
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\nusers: [{name: u, user: {}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
    )
    result = run("prod", "--to", "1.32", "--kubeconfig", str(config))
    refused(result, "127.0.0.1:9")


def test_a_kubeconfig_that_is_not_there(account: Account, monkeypatch: Any) -> None:
    from aliquot.cli.connect import connect

    account.cluster("1.31")
    monkeypatch.setattr(command, "connect", connect)
    refused(run("prod", "--to", "1.32", "--kubeconfig", "/nowhere/config"), "/nowhere/config")


def test_nobody_is_signed_in_at_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("aliquot.kube.cache.settle_gc", lambda: None)
    refused(run("prod", "--to", "1.32", "--region", "eu-west-1"), "sign in first")


def test_waivers_are_looked_at_before_anything_is_read(account: Account, tmp_path: Path) -> None:
    waivers = tmp_path / "waivers.yaml"
    waivers.write_text("waivers: [{check: none-such, reason: x, expires: 2026-12-24}]\n")
    refused(on_prod("1.32", "--waivers", str(waivers)), "there is no such check")


def test_a_cluster_that_is_none_of_eks_and_there_already(account: Account) -> None:
    refused(run("--kubernetes", "--kubeconfig", "the-emulators", "--to", "1.31"), "already: --to has to be")
