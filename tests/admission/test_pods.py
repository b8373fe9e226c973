"""What becomes of a pod at the door: the same by the rule and by the policy of the API server."""

import copy
from typing import Any

import pytest

from aliquot.admission.pods import Refused, patch
from aliquot.admission.policy import mutating, validating
from aliquot.emulator.patching.json_patch import apply_json_patch
from aliquot.emulator.versions import Surface
from tests.emulator.admission.policies.objects import collection
from tests.emulator.api import PODS, Api, FixedClock, new_api

SMALL = "class.aliquot.dev/small"


def pod(
    *containers: dict[str, Any],
    annotation: str | None = None,
    inits: tuple[dict[str, Any], ...] = (),
    **spec: Any,
) -> dict[str, Any]:
    annotations = {"annotations": {"aliquot.dev/gpu-class": annotation}} if annotation is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", **annotations},
        "spec": {
            "containers": list(containers) or [container()],
            **({"initContainers": list(inits)} if inits else {}),
            **spec,
        },
    }


def container(name: str = "main", *, both: dict[str, str] | None = None, **resources: Any) -> dict[str, Any]:
    if both is not None:
        resources = {"limits": both, "requests": both}
    return {"name": name, "image": "i", **({"resources": resources} if resources else {})}


ONE = {SMALL: "1"}
CASES: list[tuple[str, dict[str, Any], list[dict[str, Any]], str]] = [
    ("asks for nothing", pod(), [{}], "default-scheduler"),
    (
        "asks for something else",
        pod(container(both={"nvidia.com/gpu": "1"})),
        [{"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}],
        "default-scheduler",
    ),
    ("by annotation", pod(annotation="small"), [{"limits": ONE, "requests": ONE}], "aliquot"),
    (
        "beside other limits",
        pod(container(limits={"cpu": "2"}), container("other"), annotation="small"),
        [{"limits": {"cpu": "2"} | ONE, "requests": {"cpu": "2"} | ONE}, {}],
        "aliquot",
    ),
    (
        "beside other requests",
        pod(container(requests={"cpu": "2"}), annotation="small"),
        [{"limits": ONE, "requests": {"cpu": "2"} | ONE}],
        "aliquot",
    ),
    (
        "by limits",
        pod(container("a"), container("b", limits={SMALL: "2"})),
        [{}, {"limits": {SMALL: "2"}, "requests": {SMALL: "2"}}],
        "aliquot",
    ),
    (
        "by both: what the limits say counts",
        pod(container("a"), container("b", both={SMALL: "2"}), annotation="small"),
        [{}, {"limits": {SMALL: "2"}, "requests": {SMALL: "2"}}],
        "aliquot",
    ),
    (
        "an init container asks",
        pod(inits=(container("init", both=ONE),)),
        [{}],
        "aliquot",
    ),
    (
        "another scheduler is left alone",
        pod(annotation="small", schedulerName="mine"),
        [{"limits": ONE, "requests": ONE}],
        "mine",
    ),
    (
        "a name with a dot",
        pod(annotation="v2.small"),
        [{"limits": {"class.aliquot.dev/v2.small": "1"}, "requests": {"class.aliquot.dev/v2.small": "1"}}],
        "aliquot",
    ),
]


def resources(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [container.get("resources") or {} for container in made["spec"]["containers"]]


@pytest.fixture(params=["v1 of 1.36", "v1beta1 of 1.34", "v1alpha1 of 1.32"], ids=lambda text: text)
async def api(request: pytest.FixtureRequest) -> Any:
    version, _, minor = request.param.partition(" of ")
    enabled = frozenset() if version == "v1" else frozenset({f"admissionregistration.k8s.io/{version}"})
    made = await new_api(FixedClock(), surface=Surface(minor, enabled))
    for one in (*mutating(version), *validating()):
        await made.ok("POST", collection(one), one)
    yield made
    made.server.stop()
    await made.close()


@pytest.mark.parametrize(("case", "asked", "expected", "scheduler"), CASES, ids=[one[0] for one in CASES])
async def test_the_policy(
    api: Api, case: str, asked: dict[str, Any], expected: list[dict[str, Any]], scheduler: str
) -> None:
    made = await api.ok("POST", PODS, asked)
    assert (resources(made), made["spec"]["schedulerName"]) == (expected, scheduler)


@pytest.mark.parametrize(("case", "asked", "expected", "scheduler"), CASES, ids=[one[0] for one in CASES])
async def test_the_rule(
    case: str, asked: dict[str, Any], expected: list[dict[str, Any]], scheduler: str
) -> None:
    bare = await new_api(FixedClock())
    # What a webhook is shown has been defaulted.
    shown = await bare.ok("POST", PODS, asked, dryRun="All")
    bare.server.stop()
    await bare.close()
    made = copy.deepcopy(shown)
    made = apply_json_patch(made, patch(shown))
    assert (resources(made), made["spec"]["schedulerName"]) == (expected, scheduler)
    assert patch(made) == [], "once is enough"


BAD = ["", "Small", "a b", "-a", "a.", "a/b", "n" * 46, "a\n", "ü"]


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        patch(pod(annotation=name))
    assert f"annotation aliquot.dev/gpu-class: '{name}' is no name of a GPUClass" in str(refused.value)


@pytest.mark.parametrize("name", BAD)
async def test_the_policy_refuses_it_too(api: Api, name: str) -> None:
    status, answer = await api.send("POST", PODS, pod(annotation=name))
    assert status == 422
    (cause,) = answer["details"]["causes"]
    if "\n" not in name:  # which the server does not repeat
        assert f"annotation aliquot.dev/gpu-class: '{name}' is no name of a GPUClass" in cause["message"]


def test_the_scheduler_may_be_another() -> None:
    assert patch(pod(annotation="small"), scheduler="mine")[-1]["value"] == "mine"
    # One that answers to the default name needs no other.
    assert all(
        one["path"] != "/spec/schedulerName"
        for one in patch(pod(annotation="small"), scheduler="default-scheduler")
    )
