from typing import Any

import pytest

from tests.emulator.api import CONFIGS, MERGE, PODS, Api, FixedClock, config, pod

OPTIONS = {"kind": "DeleteOptions", "apiVersion": "v1"}


async def test_what_is_deleted_is_gone_and_said_to_be(api: Api) -> None:
    made = await api.ok("POST", CONFIGS, config())
    answer = await api.ok("DELETE", f"{CONFIGS}/c")
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {"name": "c", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert (await api.get(f"{CONFIGS}/c"))[0] == 404
    assert (await api.send("DELETE", f"{CONFIGS}/c"))[0] == 404


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/api/v1/namespaces/default/serviceaccounts", {"kind": "ServiceAccount"}),
        ("/api/v1/namespaces/default/services", {"kind": "Service", "spec": {"ports": [{"port": 80}]}}),
        ("/apis/resource.k8s.io/v1/deviceclasses", {"kind": "DeviceClass", "spec": {}}),
    ],
)
async def test_some_kinds_are_shown_as_they_went(api: Api, path: str, asked: dict[str, Any]) -> None:
    made = await api.ok("POST", path, {**asked, "metadata": {"name": "x"}})
    imagined = await api.ok("DELETE", f"{path}/x", dryRun="All")
    assert imagined == made
    gone = await api.ok("DELETE", f"{path}/x")
    assert (await api.get(f"{path}/x"))[0] == 404
    assert int(gone["metadata"].pop("resourceVersion")) > int(made["metadata"].pop("resourceVersion"))
    assert gone == made


async def test_a_delete_that_is_only_tried_shows_what_it_would_do(api: Api) -> None:
    asked = config()
    asked["metadata"]["finalizers"] = ["example.com/a"]
    await api.ok("POST", CONFIGS, asked)
    imagined = await api.ok("DELETE", f"{CONFIGS}/c", dryRun="All")
    assert imagined["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert "deletionTimestamp" not in (await api.ok("GET", f"{CONFIGS}/c"))["metadata"]


@pytest.mark.parametrize(
    ("precondition", "words"),
    [
        (
            {"uid": "another"},
            'on ConfigMap "c": the UID in the precondition (another) does not match the UID in record (',
        ),
        (
            {"resourceVersion": "1"},
            "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (",
        ),
        ({"uid": ""}, "the UID in the precondition () does not match the UID in record ("),
        ({"resourceVersion": ""}, "the ResourceVersion in the precondition () does not match"),
    ],
)
async def test_a_precondition_that_does_not_hold_keeps_it(
    api: Api, precondition: dict[str, str], words: str
) -> None:
    await api.ok("POST", CONFIGS, config())
    status, answer = await api.send("DELETE", f"{CONFIGS}/c", {**OPTIONS, "preconditions": precondition})
    assert (status, answer["reason"]) == (409, "Conflict")
    assert words in answer["message"]
    assert (await api.get(f"{CONFIGS}/c"))[0] == 200


async def test_finalizers_hold_an_object_until_the_last_is_gone(api: Api) -> None:
    asked = config()
    asked["metadata"]["finalizers"] = ["example.com/a", "example.com/b"]
    await api.ok("POST", CONFIGS, asked)
    marked = await api.ok("DELETE", f"{CONFIGS}/c")
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert await api.ok("DELETE", f"{CONFIGS}/c") == marked
    one = {"metadata": {"finalizers": ["example.com/b"]}}
    await api.ok("PATCH", f"{CONFIGS}/c", one, type=MERGE)
    assert (await api.get(f"{CONFIGS}/c"))[0] == 200
    await api.ok("PATCH", f"{CONFIGS}/c", {"metadata": {"finalizers": None}}, type=MERGE)
    assert (await api.get(f"{CONFIGS}/c"))[0] == 404


async def test_a_bound_pod_waits_for_its_kubelet(api: Api, clock: FixedClock) -> None:
    await api.ok("POST", PODS, pod(nodeName="n1"))
    marked = await api.ok("DELETE", f"{PODS}/p")
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["metadata"]["generation"] == 2
    clock.time += 5
    sooner = await api.ok("DELETE", f"{PODS}/p", {**OPTIONS, "gracePeriodSeconds": 10})
    assert sooner["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:10Z"
    later = await api.ok("DELETE", f"{PODS}/p", {**OPTIONS, "gracePeriodSeconds": 100})
    assert later == sooner
    done = await api.ok("DELETE", f"{PODS}/p", {**OPTIONS, "gracePeriodSeconds": 0})
    assert (done["kind"], done["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 0)
    assert (await api.get(f"{PODS}/p"))[0] == 404


@pytest.mark.parametrize(
    ("spec", "phase"), [({}, "Pending"), ({"nodeName": "n1"}, "Succeeded"), ({"nodeName": "n1"}, "Failed")]
)
async def test_a_pod_that_runs_nowhere_goes_at_once(api: Api, spec: dict[str, Any], phase: str) -> None:
    await api.ok("POST", PODS, pod(**spec))
    await api.ok("PATCH", f"{PODS}/p/status", {"status": {"phase": phase}}, type=MERGE)
    gone = (await api.ok("DELETE", f"{PODS}/p"))["metadata"]
    assert (gone["deletionTimestamp"], gone["deletionGracePeriodSeconds"]) == ("2026-01-01T00:00:00Z", 0)
    assert (await api.get(f"{PODS}/p"))[0] == 404


async def test_less_than_no_grace_is_a_second(api: Api) -> None:
    await api.ok("POST", PODS, pod(nodeName="n"))
    dying = await api.ok("DELETE", f"{PODS}/p", {**OPTIONS, "gracePeriodSeconds": -5})
    assert dying["metadata"]["deletionGracePeriodSeconds"] == 1


async def test_a_pods_own_grace_period_counts(api: Api) -> None:
    await api.ok("POST", PODS, pod(nodeName="n1", terminationGracePeriodSeconds=5))
    assert (await api.ok("DELETE", f"{PODS}/p"))["metadata"]["deletionGracePeriodSeconds"] == 5
    await api.ok("POST", PODS, pod("q", nodeName="n1", terminationGracePeriodSeconds=0))
    await api.ok("DELETE", f"{PODS}/q")
    assert (await api.get(f"{PODS}/q"))[0] == 404


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [("Orphan", ["orphan"]), ("Foreground", ["foregroundDeletion"]), ("Background", None)],
)
async def test_propagation_is_left_to_the_garbage_collector(
    api: Api, policy: str, finalizers: list[str] | None
) -> None:
    await api.ok("POST", CONFIGS, config())
    answer = await api.ok("DELETE", f"{CONFIGS}/c", {**OPTIONS, "propagationPolicy": policy})
    if finalizers is None:
        assert (await api.get(f"{CONFIGS}/c"))[0] == 404
    else:
        assert answer["metadata"]["finalizers"] == finalizers
        assert (await api.get(f"{CONFIGS}/c"))[0] == 200


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"propagationPolicy": "Sideways"},
            'propagationPolicy: Unsupported value: "Sideways": '
            'supported values: "Foreground", "Background", "Orphan", "nil"',
        ),
        ({"dryRun": ["all"]}, 'dryRun: Unsupported value: ["all"]: supported values: "All"'),
        ({"dryRun": ["All", "x"]}, 'dryRun: Unsupported value: ["All","x"]: supported values: "All"'),
        (
            {"propagationPolicy": "Orphan", "orphanDependents": True},
            'propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
        ),
        (
            {"propagationPolicy": "", "dryRun": ["x"]},
            '[propagationPolicy: Unsupported value: "": supported values: "Foreground", "Background", "Orphan", '
            '"nil", dryRun: Unsupported value: ["x"]: supported values: "All"]',
        ),
    ],
)
async def test_an_unknown_option_is_refused_and_nothing_deleted(
    api: Api, options: dict[str, Any], problem: str
) -> None:
    await api.ok("POST", CONFIGS, config())
    status, answer = await api.send("DELETE", f"{CONFIGS}/c", {**OPTIONS, **options})
    assert (status, answer["message"]) == (422, f'DeleteOptions.meta.k8s.io "" is invalid: {problem}')
    assert (await api.get(f"{CONFIGS}/c"))[0] == 200


@pytest.mark.parametrize(
    "query", [{"dryRun": "All"}, {"propagationPolicy": "Sideways"}, {"gracePeriodSeconds": "soon"}]
)
async def test_beside_a_body_the_query_says_nothing(api: Api, query: dict[str, str]) -> None:
    await api.ok("POST", CONFIGS, config())
    await api.ok("DELETE", f"{CONFIGS}/c", OPTIONS, **query)
    assert (await api.get(f"{CONFIGS}/c"))[0] == 404


async def test_options_in_the_query_are_judged_as_those_of_a_body(api: Api) -> None:
    await api.ok("POST", CONFIGS, config())
    both: dict[str, Any] = {"propagationPolicy": "Orphan", "orphanDependents": "true"}
    status, answer = await api.send("DELETE", f"{CONFIGS}/c", **both)
    assert (status, answer["details"]["causes"][0]["field"]) == (422, "propagationPolicy")
    orphaned = await api.ok("DELETE", f"{CONFIGS}/c", orphanDependents="true")
    assert orphaned["metadata"]["finalizers"] == ["orphan"]


async def test_a_job_keeps_its_pods_unless_told_otherwise(api: Api) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    template = {"spec": {**pod()["spec"], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    await api.ok("POST", jobs, job)
    answer = await api.ok("DELETE", f"{jobs}/j")
    assert answer["metadata"]["finalizers"] == ["orphan"]
    assert "preserved by default" in api.headers["warning"]


async def test_a_collection_goes_as_chosen(api: Api) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        await api.ok("POST", CONFIGS, config(name, {"colour": colour}))
    gone = await api.ok("DELETE", CONFIGS, labelSelector="colour=red")
    assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in (await api.get(CONFIGS))[1]["items"]] == ["b"]


async def test_a_namespace_ends_when_its_content_is_said_to_be_gone(api: Api) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    made = await api.ok("POST", "/api/v1/namespaces", namespace)
    assert made["spec"]["finalizers"] == ["kubernetes"]
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}
    assert made["status"]["phase"] == "Active"
    ending = await api.ok("DELETE", "/api/v1/namespaces/n")
    assert ending["status"]["phase"] == "Terminating"
    status, answer = await api.send("POST", "/api/v1/namespaces/n/pods", pod())
    assert (status, answer["message"]) == (
        403,
        'pods "p" is forbidden: unable to create new content in namespace n because it is being terminated',
    )
    assert answer["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    finalized = {**ending, "spec": {}}
    await api.ok("PUT", "/api/v1/namespaces/n/finalize", finalized)
    assert (await api.get("/api/v1/namespaces/n"))[0] == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_some_namespaces_never_end(api: Api, name: str) -> None:
    status, answer = await api.send("DELETE", f"/api/v1/namespaces/{name}")
    assert (status, answer["message"]) == (
        403,
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


@pytest.mark.parametrize("body", [{"kind": "Pod"}, {"gracePeriodSeconds": "soon"}, [1]])
async def test_options_that_make_no_sense_are_refused(api: Api, body: object) -> None:
    await api.ok("POST", CONFIGS, config())
    assert (await api.send("DELETE", f"{CONFIGS}/c", body))[0] == 400
    assert (await api.get(f"{CONFIGS}/c"))[0] == 200
