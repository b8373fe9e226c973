"""Pod specs that were found sound are not looked at again: what is said of a pod must be what a first look says."""

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.schema import sound
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.schema.sound import Sound
from aliquot.emulator.schema.validation import pods as validation
from aliquot.emulator.schema.warnings import pods as warnings

CATALOGUE = Catalogue()

# Sound, as often as not.
names = st.sampled_from([*"abcdefghijk", "Not-A-Name"])
amounts = st.sampled_from(["1", "2Gi", "1500m"])
volumes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": names},
    optional={"emptyDir": st.just({}), "ephemeral": st.just({"volumeClaimTemplate": {"spec": {}}})},
)
containers = st.fixed_dictionaries(
    {"name": names, "image": st.sampled_from(["i", "j", " i"])},
    optional={
        "env": st.lists(st.fixed_dictionaries({"name": names, "value": names}), max_size=2),
        "ports": st.lists(
            st.fixed_dictionaries({"containerPort": st.integers(0, 2)}, optional={"hostPort": st.just(1)}),
            max_size=2,
        ),
        "resources": st.fixed_dictionaries({"limits": st.fixed_dictionaries({"memory": amounts})}),
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": names, "mountPath": st.just("/m")}), max_size=1
        ),
    },
)
specs = st.fixed_dictionaries(
    {"containers": st.lists(containers, min_size=1, max_size=2)},
    optional={
        "volumes": st.lists(volumes, max_size=2),
        "hostNetwork": st.booleans(),
        "nodeSelector": st.just({"beta.kubernetes.io/os": "linux"}),
    },
)
annotations = st.dictionaries(
    st.sampled_from(
        [
            "note",
            "seccomp.security.alpha.kubernetes.io/pod",
            "container.apparmor.security.beta.kubernetes.io/a",
            "scheduler.alpha.kubernetes.io/critical-pod",
        ]
    ),
    st.sampled_from(["unconfined", "x"]),
    max_size=2,
)
pods = st.tuples(st.sampled_from(["p", "p" * 250]), annotations, specs)


def schema(group: str, kind: str) -> Schema:
    found = CATALOGUE.get(group, "v1", kind)
    assert found is not None
    return found


POD, REPLICA_SET = schema("", "Pod"), schema("apps", "ReplicaSet")


def said(name: str, annotations: dict[str, str], spec: dict[str, Any]) -> list[Any]:
    """Of a pod, and of a template."""
    labels = {"app": "a"}
    found: list[Any] = []
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
    for kind, obj in (
        (POD, {"metadata": {"name": name, "annotations": annotations}, "spec": spec}),
        (
            REPLICA_SET,
            {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}},
        ),
    ):
        obj = kind.default(kind.decode(obj)[0])
        found.append((kind.validate(obj), kind.warnings(obj)))
    return found


@settings(max_examples=100)
@given(st.lists(pods, min_size=1, max_size=3), st.data())
def test_what_is_remembered_is_what_a_first_look_says(
    some: list[tuple[str, dict[str, str], dict[str, Any]]], data: st.DataObject
) -> None:
    # The same specs under other names and annotations too: those are not what is remembered by.
    parts = [st.sampled_from(values) for values in zip(*some, strict=True)]
    more = data.draw(st.lists(st.tuples(*parts), max_size=4))
    for name, notes, spec in [*some, *more]:
        remembered = said(name, notes, spec)
        with ExitStack() as stack:
            stack.enter_context(patch.object(validation, "_sound_specs", Sound()))
            stack.enter_context(patch.object(warnings, "_sound_pods", Sound()))
            assert said(name, notes, spec) == remembered


def test_volumes_whose_claims_are_named_after_the_pod_are_looked_at_for_each_name() -> None:
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
    problems = {name: said(name, {}, spec)[0][0] for name in ("p", "p" * 252)}
    assert problems["p"] == []
    assert [error.field for error in problems["p" * 252]] == ["spec.volumes[0].name"]


def test_only_what_is_sound_is_remembered() -> None:
    looks: list[str] = []

    def look(finding: str) -> list[str]:
        looks.append(finding)
        return [finding] if finding else []

    found = Sound()
    assert found.findings({"a": 1}, (), lambda: look("bad")) == ["bad"]
    assert found.findings({"a": 1}, (), lambda: look("")) == []
    assert found.findings({"a": 1}, (), lambda: look("not looked")) == []
    assert found.findings({"a": True}, (), lambda: look("another")) == ["another"]
    assert found.findings({"a": 1}, ("beside",), lambda: look("beside")) == ["beside"]
    assert looks == ["bad", "", "another", "beside"]


def test_the_latest_used_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "_REMEMBERED", 2)
    monkeypatch.setattr(sound, "_LONGEST_BYTES", 10)
    found = Sound()

    def is_looked_at(value: Any) -> bool:
        looks: list[Any] = []
        found.findings(value, (), lambda: looks.append(value) or [])  # type: ignore[func-returns-value]
        return bool(looks)

    assert [is_looked_at(value) for value in (1, 2, 1, 3, 1, 2)] == [True, True, False, True, False, True]
    assert is_looked_at("a" * 20)
    assert is_looked_at("a" * 20), "too long to be kept"
