"""Environment and command lines, as kubelet expands them."""

import os

import msgspec
import pytest
import yaml

from aliquot.emulator.kubelet.environment import (
    ConfigError,
    Source,
    Surroundings,
    command_line,
    contents,
    environment,
    expand,
    sources,
)
from aliquot.emulator.kubelet.pod_details import EnvFrom
from tests.emulator.kubelet.conftest import pod

AROUND = Surroundings(
    pod_ip="10.0.0.7",
    host_ip="192.0.2.1",
    allocatable={"cpu": 8000, "memory": 4096},
    sources={
        Source("ConfigMap", "settings"): {"level": "high"},
        Source("ConfigMap", "stricter"): {"level": "higher"},
        Source("Secret", "keys"): {"token": "t0p"},
        Source("ConfigMap", "absent"): None,
    },
)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("$()", "$()"),
        ("cost: 5$", "cost: 5$"),
    ],
)
def test_references(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("value: text", "text"),
        ("value: 'at $(FIRST)'", "at 1"),
        ("value: '$(LATER)'", "$(LATER)"),
        ("value: '$(ALLOCATED)'", "$(ALLOCATED)"),
        ("valueFrom: {fieldRef: {fieldPath: metadata.name}}", "p"),
        ("valueFrom: {fieldRef: {fieldPath: metadata.namespace}}", "ns"),
        ("valueFrom: {fieldRef: {fieldPath: metadata.uid}}", "uid-p"),
        ("valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}", "web"),
        ("valueFrom: {fieldRef: {fieldPath: \"metadata.annotations['a.b/c']\"}}", "note"),
        ("valueFrom: {fieldRef: {fieldPath: \"metadata.labels['none']\"}}", ""),
        ("valueFrom: {fieldRef: {fieldPath: spec.nodeName}}", "node-1"),
        ("valueFrom: {fieldRef: {fieldPath: status.podIP}}", "10.0.0.7"),
        ("valueFrom: {fieldRef: {fieldPath: status.hostIP}}", "192.0.2.1"),
        ("valueFrom: {resourceFieldRef: {resource: limits.cpu}}", "2"),
        ("valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}", "1500"),
        ("valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Ki}}", "4"),
        ("valueFrom: {resourceFieldRef: {resource: requests.memory}}", "100"),
        ("valueFrom: {configMapKeyRef: {name: settings, key: level}}", "high"),
        ("valueFrom: {secretKeyRef: {name: keys, key: token}}", "t0p"),
        ("valueFrom: {configMapKeyRef: {name: absent, key: k, optional: true}}", None),
        ("valueFrom: {configMapKeyRef: {name: settings, key: k, optional: true}}", None),
    ],
)
def test_where_a_value_comes_from(variable: str, value: str | None) -> None:
    spec = (
        "nodeName: node-1, containers: [{name: main, resources: {limits: {cpu: 1500m}, requests: {memory: 100}}, "
        f"env: [{{name: FIRST, value: '1'}}, {{name: IT, {variable}}}, {{name: LATER, value: '2'}}]}}]"
    )
    subject = pod(spec, labels={"app": "web"}, annotations={"a.b/c": "note"})
    env = environment(subject, subject.spec.containers[0], {"ALLOCATED": "x"}, AROUND)
    assert env.get("IT") == value


@pytest.mark.parametrize(
    ("value_from", "complaint"),
    [
        ("fieldRef: {fieldPath: spec.color}", "unsupported fieldPath: spec.color"),
        (
            "resourceFieldRef: {resource: limits.nvidia.com/gpu}",
            "unsupported container resource : limits.nvidia.com/gpu",
        ),
        ("resourceFieldRef: {containerName: other, resource: limits.cpu}", "container other not found"),
        ("configMapKeyRef: {name: absent, key: k}", 'configmap "absent" not found'),
        ("configMapKeyRef: {name: settings, key: k}", "couldn't find key k in ConfigMap ns/settings"),
        ("fileKeyRef: {key: k}", "valueFrom with fileKeyRef is not supported"),
    ],
)
def test_what_is_not_there_is_said(value_from: str, complaint: str) -> None:
    subject = pod(f"containers: [{{name: main, env: [{{name: IT, valueFrom: {{{value_from}}}}}]}}]")
    with pytest.raises(ConfigError) as caught:
        environment(subject, subject.spec.containers[0], {}, AROUND)
    assert str(caught.value) == complaint


def test_the_pod_may_override_what_allocate_answered() -> None:
    subject = pod("containers: [{name: main, env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]}]")
    allocated = {"NVIDIA_VISIBLE_DEVICES": "GPU-1", "OTHER": "stays"}
    env = environment(subject, subject.spec.containers[0], allocated, AROUND)
    assert env == {"NVIDIA_VISIBLE_DEVICES": "all", "OTHER": "stays"}


def test_command_and_args_see_what_allocate_answered() -> None:
    subject = pod("containers: [{name: main, command: [run, '$(GPU)'], args: ['--on', '$$(GPU)']}]")
    assert command_line(subject.spec.containers[0], {"GPU": "GPU-1"}) == (
        ("run", "GPU-1"),
        ("--on", "$(GPU)"),
    )


def test_each_source_is_read_once() -> None:
    variables = ", ".join(
        f"{{name: V{n}, valueFrom: {{configMapKeyRef: {{name: settings, key: k{n}}}}}}}" for n in range(2)
    )
    subject = pod(f"containers: [{{name: main, env: [{variables}, {{name: PLAIN, value: x}}]}}]")
    assert sources(subject.spec.containers[0]) == (Source("ConfigMap", "settings"),)


def test_secrets_are_decoded() -> None:
    assert contents(Source("Secret", "s"), {"data": {"k": "dmFsdWU="}}) == {"k": "value"}


def test_a_secret_s_bytes_arrive_as_they_are() -> None:
    assert os.fsencode(contents(Source("Secret", "s"), {"data": {"k": "/w=="}})["k"]) == b"\xff"


def env_from(text: str) -> tuple[EnvFrom, ...]:
    return tuple(msgspec.convert(yaml.safe_load(text), tuple[EnvFrom, ...]))


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("[{configMapRef: {name: settings}}]", {"level": "high"}),
        ("[{secretRef: {name: keys}}]", {"token": "t0p"}),
        ("[{prefix: P_, configMapRef: {name: settings}}]", {"P_level": "high"}),
        ("[{configMapRef: {name: settings}}, {configMapRef: {name: stricter}}]", {"level": "higher"}),
        ("[{configMapRef: {name: absent, optional: true}}, {secretRef: {name: keys}}]", {"token": "t0p"}),
    ],
)
def test_whole_sources(text: str, env: dict[str, str]) -> None:
    subject = pod("containers: [{name: main}]")
    assert environment(subject, subject.spec.containers[0], {}, AROUND, env_from(text)) == env


def test_a_whole_source_that_is_missing_is_said() -> None:
    subject = pod("containers: [{name: main}]")
    with pytest.raises(ConfigError, match='configmap "absent" not found'):
        environment(
            subject, subject.spec.containers[0], {}, AROUND, env_from("[{configMapRef: {name: absent}}]")
        )


def test_the_pod_s_own_variables_see_whole_sources_and_override_them() -> None:
    subject = pod(
        "containers: [{name: main, env: [{name: IT, value: 'is $(level)'}, {name: level, value: mine}]}]"
    )
    allocated = {"level": "allocated", "GPU": "1"}
    found = env_from("[{configMapRef: {name: settings}}]")
    env = environment(subject, subject.spec.containers[0], allocated, AROUND, found)
    assert env == {"IT": "is high", "level": "mine", "GPU": "1"}


def test_whole_sources_are_read_too() -> None:
    subject = pod(
        "containers: [{name: main, env: [{name: V, valueFrom: {secretKeyRef: {name: keys, key: k}}}]}]"
    )
    found = env_from("[{configMapRef: {name: settings}}, {secretRef: {name: keys}}]")
    assert sources(subject.spec.containers[0], found) == (
        Source("ConfigMap", "settings"),
        Source("Secret", "keys"),
    )
