import pytest

from aliquot.emulator.schema import definitions, gates
from aliquot.emulator.versions import SUPPORTED, Surface

POD = "io.k8s.api.core.v1.PodSpec"
RESOURCE = "io.k8s.api.resource"


def surface(version: str, *enabled: str) -> Surface:
    return Surface(version, frozenset(enabled))


@pytest.mark.parametrize(
    ("definition", "field", "opened_in"),
    [
        (POD, "resourceClaims", "1.34"),
        (POD, "resources", "1.34"),
        (POD, "schedulingGroup", None),
        ("io.k8s.api.core.v1.Container", "resizePolicy", "1.33"),
        ("io.k8s.api.batch.v1.JobSpec", "managedBy", "1.32"),
        (f"{RESOURCE}.v1.Device", "taints", "1.36"),
        (f"{RESOURCE}.v1beta1.BasicDevice", "taints", "1.36"),
        (f"{RESOURCE}.v1beta1.DeviceRequest", "adminAccess", "1.34"),
        (f"{RESOURCE}.v1beta2.ExactDeviceRequest", "adminAccess", "1.34"),
        (f"{RESOURCE}.v1.DeviceAttribute", "ints", None),
    ],
)
def test_when_a_field_is_taken(definition: str, field: str, opened_in: str | None) -> None:
    is_open = [field not in gates.closed(surface(v)).get(definition, ()) for v in SUPPORTED]
    assert is_open == [opened_in is not None and v >= opened_in for v in SUPPORTED]


@pytest.mark.parametrize(
    ("enabled", "field", "is_open"),
    [
        ("resource.k8s.io/v1beta1", "resourceClaims", True),
        ("resource.k8s.io/v1beta1", "schedulingGroup", False),
        ("scheduling.k8s.io/v1alpha2", "schedulingGroup", True),
        ("scheduling.k8s.io/v1alpha2", "resourceClaims", False),
    ],
)
def test_what_is_turned_on_opens_its_own(enabled: str, field: str, is_open: bool) -> None:
    assert (field not in gates.closed(surface("1.33", enabled))[POD]) is is_open


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.name)
def test_every_gated_field_is_one(gate: gates.Gate) -> None:
    """Some version knows it, under that spelling."""
    there = {
        f"{name}.{field}"
        for version in SUPPORTED
        for name, node in definitions.load(surface(version)).nodes.items()
        for field in node.get("properties", ())
    }
    for path in gate.fields:
        spelled = [f"{definition}.{field}" for definition, field in gates.definitions_of(path)]
        assert there & set(spelled), path


def test_a_field_is_behind_one_gate() -> None:
    fields = [field for gate in gates.GATES for field in gate.fields]
    assert len(fields) == len(set(fields))


def test_the_schema_of_schemas_has_a_property_that_is_named_like_a_reference() -> None:
    crd = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    assert not definitions.forgets(Surface("1.36"), Surface("1.37"), crd)
