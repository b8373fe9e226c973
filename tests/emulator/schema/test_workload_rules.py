from typing import Any

import pytest

from tests.emulator.schema.objects import Json, changed, schema, texts

TEMPLATE: Json = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "m", "image": "x"}]}}


def workload(kind: str, group: str = "apps", **spec: Any) -> Json:
    selector = {} if kind in ("Job", "CronJob") else {"selector": {"matchLabels": {"a": "b"}}}
    whole = {"metadata": {"name": "w", "namespace": "ns"}, "spec": {**selector, "template": TEMPLATE, **spec}}
    return schema(kind, group).default(schema(kind, group).decode(whole)[0])


def job(**spec: Any) -> Json:
    made = workload("Job", "batch", **spec)
    return changed(made, "spec.selector", {"matchLabels": {"a": "b"}})


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"])
def test_selectors_must_match_their_template(kind: str) -> None:
    made = workload(kind)
    known = schema(kind, "apps")
    assert known.validate(made) == []
    other = changed(made, "spec.selector.matchLabels", {"a": "c"})
    assert texts(known.validate(other)) == [
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`'
    ]
    missing = texts(known.validate(changed(made, "spec.selector", None)))
    # Of a DaemonSet it is not said: it selects nothing, and so not its template.
    assert missing == ["spec.selector: Required value"] * (kind != "DaemonSet") + [
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`'
    ]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_selectors_are_for_life(kind: str) -> None:
    old = workload(kind)
    new = changed(old, "spec.selector.matchLabels", {"a": "b", "c": "d"})
    new = changed(new, "spec.template.metadata.labels", {"a": "b", "c": "d"})
    assert texts(schema(kind, "apps").validate_update(new, old)) == [
        'spec.selector: Invalid value: {"matchLabels":{"a":"b","c":"d"}}: field is immutable'
    ]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec.replicas", -1, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ("spec.selector", {}, 'spec.selector: Invalid value: {}: empty selector is invalid for deployment'),
        ("spec.template.spec.restartPolicy", "Never", 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
        ("spec.template.spec.containers", [], "spec.template.spec.containers: Required value"),
        ("spec.template.spec.activeDeadlineSeconds", 5, "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"),
        ("spec.strategy.type", "Magic", 'spec.strategy.type: Unsupported value: "Magic": supported values: "Recreate", "RollingUpdate"'),
        ("spec.strategy.type", "Recreate", "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"),
        ("spec.strategy.rollingUpdate", {"maxSurge": 0, "maxUnavailable": "0%"}, 'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'),
        ("spec.progressDeadlineSeconds", 0, "spec.progressDeadlineSeconds: Invalid value: 0: must be greater than minReadySeconds"),
    ],
)  # fmt: skip
def test_deployments(path: str, value: Any, problem: str) -> None:
    assert problem in texts(
        schema("Deployment", "apps").validate(changed(workload("Deployment"), path, value))
    )


def test_a_stateful_set_changes_little() -> None:
    old = workload("StatefulSet", serviceName="a")
    known = schema("StatefulSet", "apps")
    assert known.validate_update(changed(old, "spec.replicas", 3), old) == []
    [problem] = texts(known.validate_update(changed(old, "spec.serviceName", "b"), old))
    assert problem.startswith("spec: Forbidden: updates to statefulset spec for fields other than 'replicas'")


NEVER = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"template": NEVER}, []),
        ({}, ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']),
        ({"template": NEVER, "parallelism": -1}, ["spec.parallelism: Invalid value: -1: must be greater than or equal to 0"]),
        ({"template": NEVER, "completionMode": "Indexed", "parallelism": 2}, ["spec.completions: Required value: when completion mode is Indexed"]),
        ({"template": NEVER, "podReplacementPolicy": "Now"}, ['spec.podReplacementPolicy: Unsupported value: "Now": supported values: "Failed", "TerminatingOrFailed"']),
    ],
)  # fmt: skip
def test_jobs(spec: dict[str, Any], problems: list[str]) -> None:
    assert texts(schema("Job", "batch").validate(job(**spec))) == problems


def test_an_indexed_job_names_its_pods_hosts() -> None:
    made = changed(job(template=NEVER, completionMode="Indexed", completions=11), "metadata.name", "a.b")
    assert texts(schema("Job", "batch").validate(made)) == [
        'metadata.name: Invalid value: "a.b": will not able to create pod with invalid DNS label: a.b-10'
    ]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec.completions", 5, "spec.completions: Invalid value: 5: field is immutable"),
        (
            "spec.completionMode",
            "Indexed",
            'spec.completionMode: Invalid value: "Indexed": field is immutable',
        ),
        ("spec.template.spec.containers.0.image", "y", "spec.template: Invalid value: "),
        ("spec.parallelism", 5, ""),
        ("spec.suspend", True, ""),
    ],
)
def test_what_a_job_keeps(path: str, value: Any, problem: str) -> None:
    old = job(template=NEVER, completions=2)
    found = texts(schema("Job", "batch").validate_update(changed(old, path, value), old))
    assert [text for text in found if text.startswith(problem)] if problem else not found


def test_a_suspended_job_may_still_be_placed_elsewhere() -> None:
    old = job(template=NEVER, suspend=True)
    known = schema("Job", "batch")
    assert known.validate_update(changed(old, "spec.template.spec.nodeSelector", {"a": "b"}), old) == []
    moved = changed(old, "spec.template.spec.containers.0.image", "y")
    assert len(known.validate_update(moved, old)) == 1


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("*/5 * * * *", ""),
        ("@hourly", ""),
        ("", "spec.schedule: Required value"),
        ("* *", 'spec.schedule: Invalid value: "* *": expected exactly 5 fields, found 2: [* *]'),
    ],
)
def test_cron_jobs(schedule: str, problem: str) -> None:
    known = schema("CronJob", "batch")
    made = known.default(
        {
            "metadata": {"name": "c"},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": {"template": NEVER}}},
        }
    )
    assert texts(known.validate(made)) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec.selector", {"a": "c"}, "`selector` does not match template `labels`"),
        (
            "spec.template.spec.restartPolicy",
            "Never",
            'Unsupported value: "Never": supported values: "Always"',
        ),
        ("spec.replicas", -1, "must be greater than or equal to 0"),
        ("spec.replicas", 0, ""),
    ],
)
def test_replication_controllers(path: str, value: Any, problem: str) -> None:
    made = workload("ReplicationController", "", selector={"a": "b"})
    found = texts(schema("ReplicationController").validate(changed(made, path, value)))
    assert len(found) == bool(problem)
    assert problem in "".join(found)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("spec.updateStrategy.rollingUpdate.partition", -1, "must be greater than or equal to 0"),
        ("spec.updateStrategy.rollingUpdate.maxUnavailable", "0%", "cannot be 0"),
        ("spec.updateStrategy.rollingUpdate.maxUnavailable", 2, ""),
        ("spec.persistentVolumeClaimRetentionPolicy.whenScaled", "Keep", 'supported values: "Delete", "Retain"'),
        ("spec.ordinals.start", -1, "spec.ordinals.start: Invalid value: -1"),
        ("spec.ordinals.start", 5, ""),
    ],
)  # fmt: skip
def test_stateful_sets(path: str, value: Any, problem: str) -> None:
    made = changed(workload("StatefulSet"), "spec.ordinals", {})
    found = texts(schema("StatefulSet", "apps").validate(changed(made, path, value)))
    assert len(found) == bool(problem)
    assert problem in "".join(found)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"volumeMounts": ["data"], "claims": ["data"]}, ""),
        ({"volumeMounts": ["data"], "claims": ["data"], "volumes": ["data"]}, ""),
        ({"volumeMounts": ["data", "own"], "claims": ["data"], "volumes": ["own"]}, ""),
        ({"volumeMounts": ["data"], "claims": ["other"]}, 'volumeMounts[0].name: Not found: "data"'),
        ({"volumeMounts": ["data"]}, 'volumeMounts[0].name: Not found: "data"'),
        ({"claims": ["Data"]}, 'spec.template.spec.volumes[0].name: Invalid value: "Data"'),
        ({"hostname": "Own_Name", "subdomain": "Own_Name"}, ""),
    ],
)
def test_a_stateful_set_s_template_is_judged_with_what_its_pods_are_given(spec: Json, problem: str) -> None:
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in spec.get("volumeMounts", ())]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    pod: Json = {
        "containers": [{"name": "m", "image": "x", "volumeMounts": mounts}],
        "volumes": [{"name": name, "emptyDir": {}} for name in spec.get("volumes", ())],
        **{name: spec[name] for name in ("hostname", "subdomain") if name in spec},
    }
    made = workload(
        "StatefulSet",
        template={**TEMPLATE, "spec": pod},
        volumeClaimTemplates=[{"metadata": {"name": name}, "spec": claim} for name in spec.get("claims", ())],
    )
    found = texts(schema("StatefulSet", "apps").validate(made))
    assert bool(found) == bool(problem)
    assert problem in "".join(found)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"minAvailable": 1}, ""),
        ({"minAvailable": "50%"}, ""),
        ({"maxUnavailable": 0}, ""),
        ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable and maxUnavailable cannot be both set"),
        ({"maxUnavailable": "150%"}, "must not be greater than 100%"),
        ({"maxUnavailable": -1}, "must be greater than or equal to 0"),
        ({"unhealthyPodEvictionPolicy": "Never"}, 'supported values: "AlwaysAllow", "IfHealthyBudget"'),
    ],
)
def test_disruption_budgets(spec: dict[str, Any], problem: str) -> None:
    known = schema("PodDisruptionBudget", "policy")
    found = texts(known.validate(known.default({"metadata": {"name": "b"}, "spec": spec})))
    assert len(found) == bool(problem)
    assert problem in "".join(found)


def test_a_revision_is_for_life() -> None:
    known = schema("ControllerRevision", "apps")
    old = {"metadata": {"name": "r", "resourceVersion": "1"}, "data": {"a": 1}, "revision": 1}
    assert known.validate_update(changed(old, "revision", 2), old) == []
    [problem] = texts(known.validate_update(changed(old, "data", {"a": 2}), old))
    assert problem.startswith("data: Invalid value")
    assert "revision: Invalid value" in texts(known.validate(changed(old, "revision", -1)))[0]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"timeZone": "Europe/Paris"}, ""),
        ({"timeZone": "Mars/Base"}, "spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"),
        ({"schedule": "TZ=UTC * * * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
        ({"schedule": "61 * * * *"}, "Bad minute"),
    ],
)  # fmt: skip
def test_when_a_cron_job_is_due(spec: dict[str, Any], problem: str) -> None:
    known = schema("CronJob", "batch")
    wanted = {"schedule": "@daily", "jobTemplate": {"spec": {"template": NEVER}}, **spec}
    found = texts(known.validate(known.default({"metadata": {"name": "c"}, "spec": wanted})))
    assert len(found) == bool(problem)
    assert problem in "".join(found)


@pytest.mark.parametrize(
    ("kind", "field", "rolling", "problems"),
    [
        ("Deployment", "strategy", {"maxSurge": 1, "maxUnavailable": 1}, []),
        ("Deployment", "strategy", {"maxSurge": 0, "maxUnavailable": 0}, ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"]),
        ("Deployment", "strategy", {"maxSurge": "200%", "maxUnavailable": "101%"}, ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        ("Deployment", "strategy", {"maxSurge": "x"}, ["spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"]),
        ("DaemonSet", "updateStrategy", {"maxSurge": 1, "maxUnavailable": 0}, []),
        ("DaemonSet", "updateStrategy", {"maxSurge": 1}, ["spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"]),
        ("DaemonSet", "updateStrategy", {"maxUnavailable": 0}, ["spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"]),
    ],
)  # fmt: skip
def test_how_many_pods_a_rollout_may_add_or_miss(
    kind: str, field: str, rolling: dict[str, Any], problems: list[str]
) -> None:
    update: dict[str, Any] = {field: {"type": "RollingUpdate", "rollingUpdate": rolling}}
    made = workload(kind, **update)
    assert texts(schema(kind, "apps").validate(made)) == problems
