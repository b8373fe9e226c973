"""Containers that come to a pod later: `kubectl debug`."""

from typing import Any

import pytest

from tests.emulator.api import PODS, STRATEGIC, Api, pod

PATH = f"{PODS}/p/ephemeralcontainers"


def with_ephemeral(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": {"ephemeralContainers": list(containers), **more}}


def debugger(name: str = "d", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "busybox", **more}


async def test_they_are_all_that_changes(api: Api) -> None:
    made = await api.ok("POST", PODS, pod())
    asked = with_ephemeral(
        debugger(targetContainerName="main"), containers=[{"name": "main", "image": "other"}]
    )
    changed = await api.ok("PATCH", PATH, {**asked, "metadata": {"labels": {"a": "b"}}}, type=STRATEGIC)
    (added,) = changed["spec"].pop("ephemeralContainers")
    assert (added["name"], added["imagePullPolicy"], added["targetContainerName"]) == ("d", "Always", "main")
    assert changed["spec"] == made["spec"]
    assert "labels" not in changed["metadata"]
    assert changed["metadata"]["generation"] == made["metadata"]["generation"] + 1
    await api.ok("PUT", PATH, await api.ok("GET", PATH))
    assert (await api.ok("PATCH", PATH, with_ephemeral(debugger("e")), type=STRATEGIC))["metadata"][
        "generation"
    ] == 3


CANNOT = "Forbidden: cannot be set for an Ephemeral Container"


@pytest.mark.parametrize(
    ("containers", "problem"),
    [
        ([debugger(image="other")],
         'spec.ephemeralContainers: Forbidden: existing ephemeral containers "d" may not be changed\n'),
        ([{"$patch": "delete", "name": "d"}],
         'spec.ephemeralContainers: Forbidden: existing ephemeral containers "d" may not be removed\n'),
        ([debugger("main")], 'spec.ephemeralContainers[0].name: Duplicate value: "main"'),
        ([{"name": "e"}], "spec.ephemeralContainers[0].image: Required value"),
        ([debugger("e", targetContainerName="x")], 'spec.ephemeralContainers[0].targetContainerName: Not found: "x"'),
        ([debugger("e", ports=[{"containerPort": 1}])], f"spec.ephemeralContainers[0].ports: {CANNOT}"),
        ([debugger("e", resources={"limits": {"cpu": "1"}})], f"spec.ephemeralContainers[0].resources: {CANNOT}"),
        ([debugger("e", volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "s"}])],
         '[spec.ephemeralContainers[0].volumeMounts[0].name: Not found: "v", '
         f"spec.ephemeralContainers[0].volumeMounts[0].subPath: {CANNOT}]"),
    ],
)  # fmt: skip
async def test_what_they_may_not(api: Api, containers: list[dict[str, Any]], problem: str) -> None:
    await api.ok("POST", PODS, pod())
    await api.ok("PATCH", PATH, with_ephemeral(debugger()), type=STRATEGIC)
    status, answer = await api.send("PATCH", PATH, with_ephemeral(*containers), type=STRATEGIC)
    assert (status, answer["message"]) == (422, f'Pod "p" is invalid: {problem}')


async def test_they_come_by_their_own_door_alone(api: Api) -> None:
    status, answer = await api.send("POST", PODS, pod(**with_ephemeral(debugger())["spec"]))
    assert (status, answer["message"]) == (
        422,
        'Pod "p" is invalid: spec.ephemeralContainers: Forbidden: cannot be set on create',
    )
    await api.ok("POST", PODS, pod())
    status, _ = await api.send("PATCH", f"{PODS}/p", with_ephemeral(debugger()), type=STRATEGIC)
    assert status == 422
    status, answer = await api.send("POST", PATH, pod())
    assert (status, answer["details"]) == (405, {})
