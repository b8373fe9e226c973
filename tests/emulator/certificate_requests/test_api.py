from typing import Any

import pytest

from tests.emulator.api import MERGE, TABLE, Api, FixedClock
from tests.emulator.certificate_requests.asking import (
    CLIENT,
    KUBELET,
    PATH,
    condition,
    pem,
    request,
)
from tests.emulator.test_api_access import let_all

ONE = f"{PATH}/r"


async def test_a_request_says_who_made_it_whatever_it_says(api: Api) -> None:
    made = request(pem("ada"), username="root", groups=["system:masters"], uid="0", extra={"a": ["b"]})
    made["status"] = {"conditions": [condition("Approved")]}
    ada = api.as_user("ada", "dev")
    await let_all(api, "ada", [{"apiGroups": ["certificates.k8s.io"], "resources": ["*"], "verbs": ["*"]}])
    found = await ada.ok("POST", PATH, made)
    asked = {key: found["spec"].get(key) for key in ("username", "groups", "uid", "extra")}
    assert asked == {"username": "ada", "groups": ["dev", "system:authenticated"], "uid": None, "extra": None}
    assert found["status"] == {}
    await ada.close()


@pytest.mark.parametrize(
    ("changes", "code", "refusal"),
    [
        ({"usages": []}, 422, "spec.usages: Required value: usages must be provided"),
        ({"usages": ["client auth", "client auth"]}, 422, "spec.usages[1]: Duplicate value"),
        ({"usages": ["flying"]}, 422, 'spec.usages[0]: Unsupported value: "flying"'),
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 600 seconds (10 minutes)"),
        ({"expirationSeconds": 600}, 201, ""),
        ({"signerName": "kubernetes.io/legacy-unknown"}, 422, "the legacy signerName is not allowed"),
        ({"signerName": "example.com/mine"}, 201, ""),
        ({"signerName": "mine"}, 422, "must be a fully qualified domain and path"),
        ({"request": "bm9uc2Vuc2U="}, 422, "PEM block type must be CERTIFICATE REQUEST"),
    ],
)
async def test_what_can_be_asked(api: Api, changes: dict[str, Any], code: int, refusal: str) -> None:
    made = request(pem("ada"))
    made["spec"] |= changes
    status, answer = await api.send("POST", PATH, made)
    assert status == code, answer
    assert refusal in answer.get("message", "")


async def test_nobody_asks_to_be_almighty(api: Api) -> None:
    status, answer = await api.send("POST", PATH, request(pem("ada", "dev", "system:masters")))
    assert (status, answer["message"]) == (
        403,
        'certificatesigningrequests.certificates.k8s.io "r" is forbidden: use of kubernetes.io/kube-apiserver-client '
        "signer with system:masters group is not allowed",
    )
    other = request(pem("ada", "system:masters"), signer="example.com/mine")
    await api.ok("POST", PATH, other)


async def test_what_was_asked_stays(api: Api) -> None:
    await api.ok("POST", PATH, request(pem("ada")))
    change = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"usages": ["any"]},
        "status": {"certificate": "eA=="},
    }
    found = await api.ok("PATCH", ONE, change, type=MERGE)
    assert found["metadata"]["labels"] == {"a": "b"}
    assert found["spec"]["usages"] == ["digital signature", "client auth"]
    assert found["status"] == {}


async def test_each_endpoint_has_its_part_of_the_status(api: Api, clock: FixedClock) -> None:
    await api.ok("POST", PATH, request(pem("ada")))
    both = {"status": {"certificate": "eA==", "conditions": [condition("Approved")]}}
    found = await api.ok("PATCH", f"{ONE}/approval", both, type=MERGE)
    assert [one["type"] for one in found["status"]["conditions"]] == ["Approved"]
    assert "certificate" not in found["status"]
    assert found["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    clock.time += 60
    signed = {"status": {"certificate": "eA==", "conditions": [condition("Denied"), condition("Failed")]}}
    found = await api.ok("PATCH", f"{ONE}/status", signed, type=MERGE)
    assert found["status"]["certificate"] == "eA=="
    assert [one["type"] for one in found["status"]["conditions"]] == ["Approved", "Failed"]
    assert found["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("conditions", "refusal"),
    [
        ([condition("Approved", "False")], 'status.conditions[0].status: Unsupported value: "False"'),
        ([condition("Approved"), condition("Denied")], "mutually exclusive"),
        ([condition("Approved"), condition("Approved")], "Duplicate value"),
    ],
)
async def test_judgements_are_final(api: Api, conditions: list[dict[str, Any]], refusal: str) -> None:
    await api.ok("POST", PATH, request(pem("ada")))
    status, answer = await api.send(
        "PATCH", f"{ONE}/approval", {"status": {"conditions": conditions}}, type=MERGE
    )
    assert status == 422
    assert refusal in answer["message"]
    await api.ok("PATCH", f"{ONE}/approval", {"status": {"conditions": [condition("Denied")]}}, type=MERGE)
    status, answer = await api.send("PATCH", f"{ONE}/approval", {"status": {"conditions": []}}, type=MERGE)
    assert 'updates may not remove a condition of type "Denied"' in answer["message"]


ENDPOINTS = {
    "apiGroups": ["certificates.k8s.io"],
    "resources": ["certificatesigningrequests/*"],
    "verbs": ["*"],
}
ALL = {
    "apiGroups": ["certificates.k8s.io"],
    "resources": ["certificatesigningrequests", "*/approval", "*/status"],
    "verbs": ["*"],
}


@pytest.mark.parametrize(
    ("verb", "names", "endpoint", "allowed"),
    [
        ("approve", [CLIENT], "approval", True),
        ("approve", ["kubernetes.io/*"], "approval", True),
        ("approve", [], "approval", True),
        ("approve", [KUBELET], "approval", False),
        ("approve", ["example.com/*"], "approval", False),
        ("sign", [CLIENT], "approval", False),
        ("sign", [CLIENT], "status", True),
        ("approve", [CLIENT], "status", False),
    ],
)
async def test_who_may_judge_and_who_may_sign(
    api: Api, verb: str, names: list[str], endpoint: str, allowed: bool
) -> None:
    await api.ok("POST", PATH, request(pem("ada")))
    signers = {
        "apiGroups": ["certificates.k8s.io"],
        "resources": ["signers"],
        "verbs": [verb],
        "resourceNames": names,
    }
    await let_all(api, "bob", [ALL, signers])
    bob = api.as_user("bob")
    change = {"status": {"conditions": [condition("Approved" if endpoint == "approval" else "Failed")]}}
    status, answer = await bob.send("PATCH", f"{ONE}/{endpoint}", change, type=MERGE)
    assert (status == 200) is allowed, answer
    if not allowed:
        right = "approve" if endpoint == "approval" else "sign"
        assert f'user not permitted to {right} requests with signerName "{CLIENT}"' in answer["message"]
    await bob.close()


async def test_how_it_is_listed(api: Api) -> None:
    await api.ok("POST", PATH, request(pem("ada"), expirationSeconds=3600))

    async def row() -> list[Any]:
        table = await api.ok("GET", PATH, accept=TABLE)
        cells: list[Any] = table["rows"][0]["cells"]
        return cells

    assert await row() == ["r", "0s", CLIENT, "admin", "60m", "Pending"]
    await api.ok("PATCH", f"{ONE}/approval", {"status": {"conditions": [condition("Approved")]}}, type=MERGE)
    await api.ok("PATCH", f"{ONE}/status", {"status": {"certificate": "eA=="}}, type=MERGE)
    assert (await row())[-1] == "Approved,Issued"
