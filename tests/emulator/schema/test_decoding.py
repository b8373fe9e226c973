import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.schema.kind import DecodeError, strict_message
from tests.emulator.schema.objects import schema

POD = schema("Pod")


def spec(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": fields}


def containers(**fields: Any) -> dict[str, Any]:
    return spec(containers=[{"name": "main", **fields}])


@pytest.mark.parametrize(
    ("obj", "cause"),
    [
        (spec(activeDeadlineSeconds="5"), "json: cannot unmarshal string into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64"),
        (spec(activeDeadlineSeconds=1.5), "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64"),
        (spec(hostNetwork="true"), "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        (containers(image=3), "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"),
        (containers(env=[{"name": "A", "value": True}]), "json: cannot unmarshal bool into Go struct field EnvVar.spec.containers.env.value of type string"),
        (containers(ports=[{"containerPort": "80"}]), "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (containers(ports=[{"containerPort": 2**40}]), "json: cannot unmarshal number 1099511627776 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (containers(command="sleep"), "json: cannot unmarshal string into Go struct field Container.spec.containers.command of type []string"),
        (spec(containers={}), "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        (spec(nodeSelector={"a": 1}), "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeSelector of type string"),
        (spec(nodeSelector=[]), "json: cannot unmarshal array into Go struct field PodSpec.spec.nodeSelector of type map[string]string"),
        ({"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ({"metadata": {"labels": {"a": 1}}}, "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"),
        (containers(resources={"limits": {"cpu": "much"}}), "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ({"metadata": {"creationTimestamp": "now"}}, 'parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006"'),
        ([], "json: cannot unmarshal array into Go value of type v1.Pod"),
    ],
)  # fmt: skip
def test_wrong_types_are_told_as_go_tells_them(obj: Any, cause: str) -> None:
    with pytest.raises(DecodeError) as caught:
        POD.decode(obj)
    assert caught.value.cause == cause
    assert str(caught.value) == f'Pod in version "v1" cannot be handled as a Pod: {cause}'


@pytest.mark.parametrize(
    ("obj", "unknown"),
    [
        (containers(comand=["x"]), ['unknown field "spec.containers[0].comand"']),
        (spec(foo=1, bar=2), ['unknown field "spec.foo"', 'unknown field "spec.bar"']),
        ({"spek": {}}, ['unknown field "spek"']),
        ({"metadata": {"lables": {}}}, ['unknown field "metadata.lables"']),
        (spec(nodeSelector={"anything": "goes"}), []),
        (spec(volumes=[{"name": "v", "emptydir": {}}]), ['unknown field "spec.volumes[0].emptydir"']),
    ],
)
def test_unknown_fields_are_dropped_and_told(obj: dict[str, Any], unknown: list[str]) -> None:
    before = copy.deepcopy(obj)
    decoded, found = POD.decode(obj)
    assert found == unknown
    assert POD.decode(decoded) == (decoded, [])
    assert obj == before


def test_the_strict_refusal() -> None:
    assert strict_message(POD, ['unknown field "spec.a"', 'unknown field "spec.b"']) == (
        'Pod in version "v1" cannot be handled as a Pod: '
        'strict decoding error: unknown field "spec.a", unknown field "spec.b"'
    )


@pytest.mark.parametrize(
    ("obj", "decoded"),
    [
        (spec(nodeName=None), spec()),
        (containers(resources={"limits": {"cpu": 0.5, "memory": "1024Mi", "nvidia.com/gpu": 1}}), containers(resources={"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"}})),
        ({"metadata": {"creationTimestamp": "2026-01-01T02:00:00+02:00"}}, {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}),
        ({"metadata": {"creationTimestamp": "0154-11-28T02:14:22.343652-12:30"}}, {"metadata": {"creationTimestamp": "0154-11-28T14:44:22Z"}}),
        ({"metadata": {"labels": {"a": None}}}, {"metadata": {"labels": {"a": ""}}}),
        (spec(containers=[None]), spec(containers=[{}])),
        (containers(livenessProbe={"httpGet": {"port": "web"}}), containers(livenessProbe={"httpGet": {"port": "web"}})),
    ],
)  # fmt: skip
def test_canonical_forms(obj: dict[str, Any], decoded: dict[str, Any]) -> None:
    assert POD.decode(obj) == (decoded, [])


def test_times_of_leases_keep_their_microseconds() -> None:
    lease = schema("Lease", "coordination.k8s.io")
    obj = {"spec": {"renewTime": "2026-01-01T02:00:00.500000+02:00"}}
    assert lease.decode(obj)[0] == {"spec": {"renewTime": "2026-01-01T00:00:00.500000Z"}}
    old = {"spec": {"renewTime": "0838-06-26T13:22:51.000000Z"}}
    assert lease.decode(old)[0] == old


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        ("2026-01-01T00:00:00Z", 'cannot parse "Z" as ".000000"'),
        ("2026-01-01T00:00:00+02:00", 'cannot parse "+02:00" as ".000000"'),
        ("2026-01-01T00:00:00.5Z", 'cannot parse ".5Z" as ".000000"'),
        ("2026-01-01T00:00:00.1234567Z", 'cannot parse "7Z" as "Z07:00"'),
        ("now", 'cannot parse "now" as "2006"'),
    ],
)
def test_times_of_leases_have_microseconds(time: str, problem: str) -> None:
    with pytest.raises(DecodeError) as refused:
        schema("Lease", "coordination.k8s.io").decode({"spec": {"renewTime": time}})
    assert f'parsing time "{time}" as "2006-01-02T15:04:05.000000Z07:00": {problem}' in str(refused.value)


def test_secrets_must_be_base64() -> None:
    secret = schema("Secret")
    assert secret.decode({"data": {"a": "eA=="}})[0] == {"data": {"a": "eA=="}}
    with pytest.raises(DecodeError, match="illegal base64 data at input byte 2"):
        secret.decode({"data": {"a": "eA$="}})


@pytest.mark.parametrize(
    ("obj", "kept"),
    [
        ({"metadata": {"labels": {}, "finalizers": []}}, {}),
        (
            {"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}},
            {"volumes": [{"name": "v", "emptyDir": {}}]},
        ),
        ({"spec": {"containers": []}}, {"containers": None}),
        ({"spec": {"affinity": {}, "tolerations": []}}, {"affinity": {}}),
        ({"spec": {"nodeName": None}}, {}),
    ],
)
def test_what_go_would_leave_out_is_left_out_when_stored(obj: dict[str, Any], kept: dict[str, Any]) -> None:
    defaulted = POD.default(obj)
    assert "labels" not in defaulted["metadata"]
    assert kept.items() <= defaulted["spec"].items()
    assert not {"tolerations", "nodeName"} & defaulted["spec"].keys()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "metadata",
                    "spec",
                    "status",
                    "containers",
                    "name",
                    "labels",
                    "resources",
                    "limits",
                    "cpu",
                    "env",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_anything_is_decoded_or_refused_and_decoding_is_stable(obj: Any) -> None:
    try:
        decoded, _ = POD.decode(obj)
    except DecodeError:
        return
    assert POD.decode(decoded) == (decoded, [])
    defaulted = POD.default(decoded)
    assert POD.default(defaulted) == defaulted
    POD.validate(defaulted)
