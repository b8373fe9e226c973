"""Certificates and tokens of Secrets, by the controllers and an API server that share the cluster's keys."""

import asyncio
import random
from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.emulator.authentication import ClientCertificates
from aliquot.emulator.certificates import Authority
from aliquot.emulator.controllers import certificate_requests
from aliquot.emulator.controllers.certificate_requests import is_over
from aliquot.emulator.controllers.run import run_all
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from tests.emulator.api import MERGE, Api, new_api
from tests.emulator.certificate_requests.asking import CLIENT, KUBELET, PATH, condition, pem, request
from tests.emulator.test_api_access import let_all

ONE = f"{PATH}/r"
SECRETS = "/api/v1/namespaces/default/secrets"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"

Scenario = Callable[[Api, Authority], Awaitable[None]]


@pytest.fixture
def running(tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario on virtual time."""

    async def whole(scenario: Scenario) -> None:
        clock = VirtualClock()
        authority = Authority(tmp_path / "pki", clock=clock)
        api = await new_api(clock, token_key=authority.token_key, client_authority=authority.for_clients)
        masters = ["system:masters"]
        client = Client(
            AsgiTransport(api.server.app, "controllers", masters), clock=clock, rng=random.Random(1)
        )
        task = asyncio.create_task(run_all(client, clock, random.Random(2), authority=authority))
        await scenario(api, authority)
        task.cancel()
        await asyncio.wait([task])
        api.server.stop()
        await client.close()
        await api.close()

    def run(scenario: Scenario) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(whole(scenario))

    return run


async def approved(api: Api, made: dict[str, Any]) -> dict[str, Any]:
    """The request, some seconds after it was made and approved."""
    await api.ok("POST", PATH, made)
    await api.ok("PATCH", f"{ONE}/approval", {"status": {"conditions": [condition("Approved")]}}, type=MERGE)
    return await later(api, ONE)


async def later(api: Api, path: str, after_s: float = 5) -> dict[str, Any]:
    await asyncio.sleep(after_s)
    found: dict[str, Any] = await api.ok("GET", path)
    return found


def issued(found: dict[str, Any]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(b64decode(found["status"]["certificate"]))


def test_an_approved_request_becomes_a_certificate_that_is_let_in(
    running: Callable[[Scenario], None],
) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        found = await approved(api, request(pem("ada", "dev"), expirationSeconds=600))
        certificate = issued(found)
        der = certificate.public_bytes(Encoding.DER)
        user = ClientCertificates(authority.for_clients, clock=VirtualClock()).authenticate(der)
        assert user is not None
        assert (user.name, user.groups) == ("ada", ("dev",))
        # Five minutes early, and ten minutes from when it was signed.
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() == 900

    running(scenario)


def test_the_rest_of_a_days_time_counts_from_its_beginning(running: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        certificate = issued(await approved(api, request(pem("ada"), expirationSeconds=86_400)))
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() == 86_400

    running(scenario)


def test_what_a_signer_does_not_sign_fails(running: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        found = await approved(api, request(pem("ada"), usages=("server auth",)))
        failed = found["status"]["conditions"][-1]
        assert (failed["type"], failed["reason"]) == ("Failed", "SignerValidationFailure")
        assert failed["message"] == "invalid usage for client certificate: server auth"
        assert "certificate" not in found["status"]

    running(scenario)


@pytest.mark.parametrize("signer", ["example.com/mine", CLIENT])
def test_what_is_not_ours_or_not_approved_is_left_alone(
    running: Callable[[Scenario], None], signer: str
) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        if signer == CLIENT:
            await api.ok("POST", PATH, request(pem("ada")))
            assert (await later(api, ONE))["status"] == {}
        else:
            found = await approved(api, request(pem("ada"), signer=signer))
            assert "certificate" not in found["status"]

    running(scenario)


@pytest.mark.parametrize(
    ("maker", "rights", "message"),
    [
        (
            "system:node:n1",
            "selfnodeclient",
            "Auto approving self kubelet client certificate after SubjectAccessReview.",
        ),
        ("boot", "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
        ("boot", "selfnodeclient", ""),
        ("system:node:n2", "selfnodeclient", ""),
        ("boot", "", ""),
    ],
)
def test_kubelets_get_theirs_by_themselves(
    running: Callable[[Scenario], None], maker: str, rights: str, message: str
) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        resources = ["certificatesigningrequests", f"certificatesigningrequests/{rights}"]
        rules = [{"apiGroups": ["certificates.k8s.io"], "resources": resources, "verbs": ["create"]}]
        await let_all(api, maker, rules)
        made = api.as_user(maker)
        await made.ok("POST", PATH, request(pem("system:node:n1", "system:nodes"), signer=KUBELET))
        found = await later(api, ONE)
        if not message:
            assert found["status"] == {}
        else:
            assert found["status"]["conditions"][0]["message"] == message
            assert issued(found)
        await made.close()

    running(scenario)


def test_old_requests_are_swept_away(
    running: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in {"SWEEP_S": 150, "JUDGED_S": 150, "PENDING_S": 3600}.items():
        monkeypatch.setattr(certificate_requests, name, seconds)

    async def scenario(api: Api, authority: Authority) -> None:
        await approved(api, request(pem("ada")))
        await api.ok("POST", PATH, request(pem("bob"), name="pending"))
        await asyncio.sleep(2 * 150 + 60)
        assert [one["metadata"]["name"] for one in (await api.get(PATH))[1]["items"]] == ["pending"]
        await asyncio.sleep(3600)
        assert (await api.get(PATH))[1]["items"] == []

    running(scenario)


HOUR = 3600
AT = "1970-01-01T00:00:00Z"


def aged(*kinds: str, certificate: str = "") -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": AT},
        "status": {
            "conditions": [{**condition(kind), "lastUpdateTime": AT} for kind in kinds],
            "certificate": certificate,
        },
    }


@pytest.mark.parametrize(
    ("found", "at_s", "over"),
    [
        (aged(), 24 * HOUR, False),
        (aged(), 24 * HOUR + 1, True),
        (aged("Denied"), HOUR, False),
        (aged("Denied"), HOUR + 1, True),
        (aged("Approved"), 100 * HOUR, False),
        (aged("Approved", certificate="eA=="), HOUR, False),
        (aged("Approved", certificate="eA=="), HOUR + 1, True),
        (aged("Approved", "Failed"), 100 * HOUR, False),
    ],
)
def test_when_a_request_is_over(found: dict[str, Any], at_s: float, over: bool) -> None:
    assert is_over(found, at_s) is over


# ---- tokens of Secrets ---------------------------------------------------------------------------------------


def secret(account: str = "sa", **annotations: str) -> dict[str, Any]:
    named = {"kubernetes.io/service-account.name": account, **annotations}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "s", "annotations": named},
    }


async def with_account(api: Api) -> str:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa"}}
    return str((await api.ok("POST", ACCOUNTS, account))["metadata"]["uid"])


def test_a_secret_is_filled_and_its_token_lets_in(running: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        uid = await with_account(api)
        await api.ok("POST", SECRETS, secret())
        found = await later(api, f"{SECRETS}/s")
        assert found["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == uid
        data = {key: b64decode(value) for key, value in found["data"].items()}
        assert data["namespace"] == b"default"
        assert data["ca.crt"] == authority.certificate
        holder = Api(api.server, "", ())
        bearer = {"authorization": f"Bearer {data['token'].decode()}"}
        assert (await holder.send("GET", "/api", headers=bearer))[0] == 200
        await api.ok("DELETE", f"{ACCOUNTS}/sa")
        await asyncio.sleep(11)
        assert (await api.get(f"{SECRETS}/s"))[0] == 404
        assert (await holder.send("GET", "/api", headers=bearer))[0] == 401
        await holder.close()

    running(scenario)


@pytest.mark.parametrize(
    "made", [secret("nobody"), secret(**{"kubernetes.io/service-account.uid": "another"})]
)
def test_a_secret_of_nobody_goes(running: Callable[[Scenario], None], made: dict[str, Any]) -> None:
    async def scenario(api: Api, authority: Authority) -> None:
        await with_account(api)
        await api.ok("POST", SECRETS, made)
        await asyncio.sleep(5)
        assert (await api.get(f"{SECRETS}/s"))[0] == 404

    running(scenario)
