"""Botocore is real here; the server that answers it is ours, and says what AWS would."""

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from aliquot.eks.aws.api import (
    NO_CREDENTIALS,
    THROTTLED,
    UNKNOWN_OUTCOME,
    UNREACHABLE,
    UNSIGNED,
    WRONG_PARAMETERS,
    Failure,
)
from aliquot.eks.aws.boto import Boto

Answer = Callable[[web.Request], web.Response]


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@asynccontextmanager
async def answered(answer: Answer) -> AsyncIterator[Boto]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with Boto(region="eu-west-1", endpoints={"": site.name}) as api:
            yield api
    finally:
        await runner.cleanup()


def refusal(status: int, code: str, message: str) -> Answer:
    return lambda _: web.json_response(
        {"message": message}, status=status, headers={"x-amzn-ErrorType": code}
    )


async def test_a_call_by_its_name_in_the_model() -> None:
    def answer(request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("GET", "/clusters/prod")
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256")
        return web.json_response({"cluster": {"name": "prod", "version": "1.31"}})

    async with answered(answer) as api:
        assert await api.call("eks", "DescribeCluster", name="prod") == {
            "cluster": {"name": "prod", "version": "1.31"}
        }
        assert api.calls == {"eks:DescribeCluster": 1}


async def test_pages_are_gone_through_and_counted() -> None:
    def answer(request: web.Request) -> web.Response:
        page = int(request.query.get("nextToken", "0"))
        token = {"nextToken": str(page + 1)} if page < 2 else {}
        return web.json_response({"clusters": [f"c{page}"], **token})

    async with answered(answer) as api:
        assert [one async for one in api.pages("eks", "ListClusters", "clusters")] == ["c0", "c1", "c2"]
        assert api.calls["eks:ListClusters"] == 3


@pytest.mark.parametrize(
    ("status", "code", "message", "says"),
    [
        (
            403,
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/a is not authorized to perform: eks:UpdateClusterVersion on resource: x",
            "the permission eks:UpdateClusterVersion is missing",
        ),
        (403, "AccessDeniedException", "no", "the permission eks:DescribeCluster is missing: no"),
        (
            403,
            "ExpiredTokenException",
            "The security token is expired",
            "the credentials have expired: sign in",
        ),
        (403, "UnrecognizedClientException", "invalid", "AWS does not know these credentials"),
        (404, "ResourceNotFoundException", "No cluster found\nfor name: a.", "No cluster found for name: a."),
    ],
)
async def test_a_refusal_is_one_line(status: int, code: str, message: str, says: str) -> None:
    async with answered(refusal(status, code, message)) as api:
        with pytest.raises(Failure) as caught:
            await api.call("eks", "DescribeCluster", name="a")
    assert caught.value.code == code
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (lambda _: web.Response(status=502, text="<html>"), UNREACHABLE, "502 Bad Gateway"),
        (lambda _: web.Response(status=504), UNREACHABLE, "504"),
        (refusal(503, "ServiceUnavailable", "later"), UNREACHABLE, "503 later"),
        (refusal(500, "InternalServerError", "oh"), UNREACHABLE, "500 oh"),
        (refusal(500, "ServerException", "oh"), "ServerException", "oh"),
        (refusal(400, "RequestTimeout", "too slow"), UNREACHABLE, "too slow"),
        (lambda _: web.Response(status=429), "TooManyRequestsException", ""),
        (refusal(429, "RequestThrottled", "slower"), "RequestThrottled", "slower"),
    ],
    ids=["502", "504", "503", "another-500", "500", "timeout", "429", "throttled"],
)
async def test_what_says_nothing_of_the_call_counts_as_no_answer(
    answer: Answer, code: str, says: str
) -> None:
    async with answered(answer) as api:
        api._config = api._config.merge(type(api._config)(retries={"total_max_attempts": 1}))
        with pytest.raises(Failure) as caught:
            await api.call("eks", "DescribeCluster", name="a")
    assert caught.value.code == code
    assert caught.value.code in THROTTLED | UNKNOWN_OUTCOME
    assert says in str(caught.value)


async def test_a_clock_that_is_wrong_is_said() -> None:
    message = "Signature expired: 20261129T163000Z is now earlier than 20261129T170000Z"
    async with answered(refusal(403, "InvalidSignatureException", message)) as api:
        with pytest.raises(Failure, match="the clock of this machine is not that of AWS"):
            await api.call("eks", "DescribeCluster", name="a")


async def test_credentials_of_the_environment_whose_end_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `aws configure export-credentials` writes them. botocore asks the environment again, and it says the same."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2026-01-01T00:00:00+00:00")
    async with answered(refusal(500, "ServerException", "not reached")) as api:
        with pytest.raises(Failure, match="sign in again") as caught:
            await api.call("eks", "DescribeCluster", name="a")
    assert caught.value.code in UNSIGNED


async def test_a_missing_permission_is_named_as_policies_name_it() -> None:
    def answer(_: web.Request) -> web.Response:
        return web.json_response({"__type": "AccessDeniedException", "message": "no"}, status=400)

    async with answered(answer) as api:
        with pytest.raises(Failure, match="the permission servicequotas:ListServiceQuotas is missing"):
            await api.call("service-quotas", "ListServiceQuotas", ServiceCode="ec2")


async def test_parameters_are_looked_at_before_anything_is_sent() -> None:
    async with answered(refusal(500, "ServerException", "not reached")) as api:
        with pytest.raises(Failure) as caught:
            await api.call("eks", "DescribeCluster", nam="a")
    assert caught.value.code == WRONG_PARAMETERS


async def test_nobody_is_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with Boto(region="eu-west-1") as api:
        with pytest.raises(Failure) as caught:
            await api.call("eks", "DescribeCluster", name="a")
    assert caught.value.code == NO_CREDENTIALS
    assert "sign in first" in str(caught.value)


@pytest.mark.parametrize(
    "region", ["mars", "eu-west-1x", "EU-WEST-1", "aws-global", "eu-west-1\n", "eu west-1"]
)
def test_a_region_that_aws_cannot_have_is_refused_whatever_endpoint_there_is(region: str) -> None:
    for endpoints in (None, {"": "http://127.0.0.1:1"}):
        with pytest.raises(Failure) as refused:
            Boto(region=region, endpoints=endpoints)
        assert refused.value.message == f"AWS has no region {region!r}: write it as eu-west-1"


@pytest.mark.parametrize(
    "region", ["eu-west-1", "ap-southeast-99", "cn-north-1", "us-gov-west-1", "us-iso-east-1"]
)
def test_a_region_that_is_newer_than_botocore_is_none_the_less_one(region: str) -> None:
    assert Boto(region=region).region == region


async def test_no_region_is_said_before_any_call() -> None:
    with pytest.raises(Failure, match="no region is set"):
        Boto()


async def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(Failure, match="nowhere"):
        Boto(profile="nowhere")


def test_a_program_ends_while_a_call_hangs() -> None:
    """Ctrl-C is heard, whatever an endpoint does."""
    program = """
import asyncio, socket
from aliquot.eks.aws.boto import Boto

silent = socket.create_server(("127.0.0.1", 0))

async def main():
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    async with Boto(region="eu-west-1", endpoints={"": endpoint}) as api:
        asked = asyncio.create_task(api.call("eks", "DescribeCluster", name="a"))
        while not api.calls:
            await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait([asked])

asyncio.run(main())
print("over", flush=True)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True
    )
    assert ended.stdout == "over\n"


async def test_nobody_answers() -> None:
    async with Boto(region="eu-west-1", endpoints={"eks": "http://127.0.0.1:9"}) as api:
        api._config = api._config.merge(type(api._config)(retries={"total_max_attempts": 1}))
        with pytest.raises(Failure) as caught:
            await api.call("eks", "DescribeCluster", name="a")
    assert caught.value.code == UNREACHABLE


async def test_an_answer_that_is_throttled_is_asked_for_again() -> None:
    seen: list[str] = []

    def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        if len(seen) == 1:
            return refusal(429, "ThrottlingException", "Rate exceeded")(request)
        return web.Response(text=json.dumps({"cluster": {}}), content_type="application/json")

    async with answered(answer) as api:
        assert await api.call("eks", "DescribeCluster", name="a") == {"cluster": {}}
        assert api.calls["eks:DescribeCluster"] == len(seen) == 2


async def test_a_token_for_a_clusters_api_server_is_a_signed_call_that_nobody_makes() -> None:
    async with Boto(region="eu-west-1") as api:
        tokens = await api.kubernetes_tokens("prod")
        token = tokens()
        assert tokens() == token
    kind, _, text = token.partition(".")
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = parse_qs(url.query)
    assert (kind, url.netloc) == ("k8s-aws-v1", "sts.eu-west-1.amazonaws.com")
    assert query["Action"] == ["GetCallerIdentity"]
    assert query["X-Amz-Expires"] == ["60"]
    # The cluster's name is signed along: a token for one is of no use at another.
    assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"][0].split(";")


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
    ],
)
async def test_the_region_of_the_environment(
    variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with Boto() as api:
        assert api.region == region


def test_the_price_list_is_asked_for_where_it_is() -> None:
    """It is in few regions, and has the prices of all."""
    regions = {
        region: Boto(region=region)._client("pricing").meta.region_name
        for region in ("eu-west-1", "cn-north-1")
    }
    assert regions == {"eu-west-1": "us-east-1", "cn-north-1": "cn-northwest-1"}
