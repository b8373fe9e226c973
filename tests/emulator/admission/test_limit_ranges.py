from typing import Any

import pytest

from tests.emulator.api import PODS, Api, pod

RANGES = "/api/v1/namespaces/default/limitranges"


async def limit(api: Api, *limits: dict[str, Any]) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "l"},
        "spec": {"limits": list(limits)},
    }
    await api.ok("POST", RANGES, body)


def asking(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None) -> dict[str, Any]:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return pod(containers=[{"name": "main", "image": "i", "resources": resources}])


async def test_containers_get_what_they_do_not_ask_for(api: Api) -> None:
    await limit(
        api,
        {
            "type": "Container",
            "default": {"cpu": "1", "memory": "1Gi"},
            "defaultRequest": {"cpu": "100m"},
        },
    )
    wanted = asking({"memory": "64Mi"})
    wanted["spec"]["initContainers"] = [{"name": "init", "image": "i"}]
    made = await api.ok("POST", PODS, wanted)
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container main; cpu, memory limit for "
        "container main; cpu, memory request for init container init; cpu, memory limit for init container init"
    }
    assert made["status"]["qosClass"] == "Burstable"


async def test_a_pod_that_says_everything_is_left_alone(api: Api) -> None:
    await limit(api, {"type": "Container", "default": {"cpu": "2"}})
    made = await api.ok("POST", PODS, asking({"cpu": "1"}, {"cpu": "1"}))
    assert "annotations" not in made["metadata"]


@pytest.mark.parametrize(
    ("limits", "asked", "why"),
    [
        ({"type": "Pod", "max": {"cpu": "1"}}, asking({"cpu": "1"}, {"cpu": "1"}), ""),
        ({"type": "Pod", "max": {"cpu": "1"}}, asking(), "maximum cpu usage per Pod is 1.  No limit is specified"),
        ({"type": "Pod", "max": {"cpu": "1"}}, asking({"cpu": "1"}, {"cpu": "2"}), "maximum cpu usage per Pod is 1, but limit is 2"),
        ({"type": "Container", "max": {"cpu": "1"}}, asking({"cpu": "1"}, {"cpu": "2"}), "maximum cpu usage per Container is 1, but limit is 2"),
        ({"type": "Container", "min": {"cpu": "1"}}, asking({"cpu": "500m"}, {"cpu": "2"}), "minimum cpu usage per Container is 1, but request is 500m"),
        ({"type": "Pod", "min": {"cpu": "1"}}, asking(), "minimum cpu usage per Pod is 1.  No request is specified"),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}, asking({"cpu": "1"}, {"cpu": "3"}), "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}, asking({"cpu": "1"}), "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"),
        ({"type": "Container", "max": {"nvidia.com/gpu": "1"}}, asking({"nvidia.com/gpu": "2"}, {"nvidia.com/gpu": "2"}), "maximum nvidia.com/gpu usage per Container is 1, but limit is 2"),
        ({"type": "Pod", "max": {"cpu": "1", "memory": "1"}}, asking(), "[maximum cpu usage per Pod is 1.  No limit is specified, maximum memory usage per Pod is 1.  No limit is specified]"),
    ],
)  # fmt: skip
async def test_what_pods_may_ask_for(
    api: Api, limits: dict[str, Any], asked: dict[str, Any], why: str
) -> None:
    await limit(api, limits)
    status, answer = await api.send("POST", PODS, asked)
    assert (status, answer.get("message")) == ((403, f'pods "p" is forbidden: {why}') if why else (201, None))
    if not why:
        # What is there already is not judged again.
        await api.ok(
            "PATCH", f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}}, type="application/merge-patch+json"
        )


async def test_limits_are_of_their_namespace(api: Api) -> None:
    await limit(api, {"type": "Pod", "max": {"cpu": "1"}})
    other = "/api/v1/namespaces/kube-public/pods"
    assert (await api.send("POST", other, pod()))[0] == 201
