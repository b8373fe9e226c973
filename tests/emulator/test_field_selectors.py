from typing import Any

import pytest

from aliquot.emulator.field_selectors import parse_fields
from aliquot.kube.selectors import SelectorError

POD = {
    "metadata": {"name": "a", "namespace": "ns"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
}
EVENT = {
    "metadata": {"name": "a.1", "namespace": "ns"},
    "involvedObject": {"kind": "Pod", "name": "a", "uid": "u"},
    "reason": "Failed",
    "source": {"component": "kubelet"},
    "type": "Warning",
}


@pytest.mark.parametrize(
    ("text", "group", "kind", "obj", "expected"),
    [
        ("", "", "Pod", POD, True),
        ("metadata.name=a", "", "Pod", POD, True),
        ("metadata.name=b", "", "Pod", POD, False),
        ("metadata.name!=b,metadata.namespace=ns", "", "Pod", POD, True),
        ("spec.nodeName=n1,status.phase!=Failed", "", "Pod", POD, True),
        ("spec.nodeName=", "", "Pod", POD, False),
        ("spec.nodeName=", "", "Pod", {"spec": {}}, True),
        ("spec.hostNetwork=false", "", "Pod", POD, True),
        ("status.podIPs==10.0.0.1", "", "Pod", POD, True),
        ("spec.unschedulable=true", "", "Node", {"spec": {"unschedulable": True}}, True),
        ("spec.unschedulable=false", "", "Node", {"spec": {}}, True),
        ("involvedObject.name=a,type=Warning,source=kubelet", "", "Event", EVENT, True),
        ("regarding.uid=u,reason=Failed", "events.k8s.io", "Event", EVENT, True),
        ("status.successful=0", "batch", "Job", {"status": {}}, True),
        (r"metadata.name=a\,b\=c", "", "ConfigMap", {"metadata": {"name": "a,b=c"}}, True),
    ],
)
def test_matches(text: str, group: str, kind: str, obj: dict[str, Any], expected: bool) -> None:
    assert parse_fields(text, group, kind).matches(obj) is expected


@pytest.mark.parametrize(
    ("text", "group", "kind", "message"),
    [
        ("spec.foo=1", "", "Pod", "field label not supported: spec.foo"),
        ("spec.foo=1", "batch", "Job", 'field label "spec.foo" not supported for Job'),
        (
            "data.a=1",
            "",
            "ConfigMap",
            '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("metadata.name", "", "Pod", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name=a=b", "", "Pod", "invalid field selector: unescaped character in value: a=b"),
        (r"metadata.name=a\b", "", "Pod", r"invalid field selector: invalid escape sequence: \b"),
    ],
)
def test_refuses(text: str, group: str, kind: str, message: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse_fields(text, group, kind)
    assert str(refused.value) == message


def test_custom_resources_have_the_fields_their_definition_names() -> None:
    selector = parse_fields(
        "spec.size=small", "example.com", "Widget", custom=True, selectable=(".spec.size",)
    )
    assert selector.matches({"spec": {"size": "small"}})
    with pytest.raises(SelectorError, match=r"field label not supported: spec\.colour"):
        parse_fields("spec.colour=red", "example.com", "Widget", custom=True, selectable=(".spec.size",))


def test_exact_value_for_an_index() -> None:
    selector = parse_fields("spec.nodeName=n1,metadata.name!=a", "", "Pod")
    assert selector.exact("spec.nodeName") == "n1"
    assert selector.exact("metadata.name") is None


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("spec.nodeName=n1,status.phase!=Failed", (b'"n1"',)),
        ("spec.nodeName=", ()),
        ("spec.nodeName!=n1", ()),
        ('spec.nodeName=with"quotes', ()),
        ("status.phase=Running", ()),
    ],
)
def test_what_the_json_of_each_object_that_is_selected_has_in_it(text: str, marks: tuple[bytes, ...]) -> None:
    assert parse_fields(text, "", "Pod").marks == marks
