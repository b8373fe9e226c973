from typing import Any

from aliquot.emulator.pod_security.policy import PREFIX
from tests.emulator.api import MERGE, PODS, Api, pod
from tests.emulator.test_api_writes import DEPLOYMENTS, deployment

DEFAULT = "/api/v1/namespaces/default"
PRIVILEGED = {"name": "main", "image": "i", "securityContext": {"privileged": True}}
WHY = 'PodSecurity "baseline:latest": privileged (container "main" must not set securityContext.privileged=true)'


async def label(api: Api, **modes: str) -> Any:
    named = {PREFIX + mode: level for mode, level in modes.items()}
    return await api.ok("PATCH", DEFAULT, {"metadata": {"labels": named}}, type=MERGE)


async def test_pods_are_refused_at_the_enforced_level(api: Api) -> None:
    await label(api, enforce="baseline")
    status, answer = await api.send("POST", PODS, pod(containers=[PRIVILEGED]))
    assert (status, answer["message"]) == (403, f'pods "p" is forbidden: violates {WHY}')
    await api.ok("POST", PODS, pod())
    # Another namespace holds its pods to nothing.
    await api.ok("POST", "/api/v1/namespaces/kube-public/pods", pod(containers=[PRIVILEGED]))


async def test_workloads_are_made_and_warned_of(api: Api) -> None:
    await label(api, enforce="baseline")
    wanted = deployment()
    wanted["spec"]["template"]["spec"]["containers"] = [PRIVILEGED]
    await api.ok("POST", DEPLOYMENTS, wanted)
    assert api.headers["warning"].replace('\\"', '"') == f'299 - "would violate {WHY}"'


async def test_a_warning_refuses_nothing(api: Api) -> None:
    await label(api, warn="baseline")
    await api.ok("POST", PODS, pod(containers=[PRIVILEGED]))
    assert "would violate PodSecurity" in api.headers["warning"]


async def test_labels_must_say_something(api: Api) -> None:
    body = {"metadata": {"labels": {f"{PREFIX}enforce": "odd"}}}
    status, answer = await api.send("PATCH", DEFAULT, body, type=MERGE)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert "must be one of privileged, baseline, restricted" in answer["message"]


async def test_pods_that_are_there_stay_and_are_told_of(api: Api) -> None:
    await api.ok("POST", PODS, pod("a", containers=[PRIVILEGED]))
    await api.ok("POST", PODS, pod("b", containers=[PRIVILEGED]))
    await label(api, enforce="baseline")
    # The last of the warnings; before it: existing pods violate the new level.
    assert "a (and 1 other pod): privileged" in api.headers["warning"]
    await api.ok("PATCH", f"{PODS}/a", {"metadata": {"labels": {"x": "y"}}}, type=MERGE)
    image = {"spec": {"containers": [{**PRIVILEGED, "image": "j"}]}}
    status, _ = await api.send("PATCH", f"{PODS}/a", image, type="application/strategic-merge-patch+json")
    assert status == 403
