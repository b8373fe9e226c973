"""What fits the types of a custom kind is what the walk would have left as it is, and found nothing wrong with."""

import copy
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.schema import decoding, quick
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.quick import Quick
from aliquot.emulator.schema.shapes import Shape
from aliquot.emulator.schema.validation import structural
from aliquot.kube.api.gpunode import GPUInstance, GPULink, GPUNode, GPUNodeStatus, GPUStatus, MigMode
from aliquot.kube.api.meta import Condition, ObjectMeta
from aliquot.kube.crds import GPUNODE_CRD

Node = dict[str, Any]
NAMES = st.sampled_from(["a", "b", "c", "metadata"])
TEXTS = st.sampled_from(
    ["", "x", "xy", "xyz", "2026-11-01", "2026-11-01T08:00:00Z", "10.0.0.1", "YQ==", "3s"]
)
NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 1.0, 1.5, 2**31, 2**63, 2**70])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def words(draw: st.DrawFn, /, **of_type: st.SearchStrategy[Any]) -> Node:
    """Some of the words that go with a type."""
    also = {"nullable": st.booleans(), "description": st.just("said"), "default": VALUES}
    return {name: draw(value) for name, value in (of_type | also).items() if draw(st.integers(0, 3)) == 0}


@st.composite
def nodes(draw: st.DrawFn, depth: int = 3) -> Node:
    kinds = ["string", "integer", "boolean", "number", "free", "text or number"]
    kind = draw(st.sampled_from(kinds + ["array", "object", "map"] * 2 * (depth > 0)))
    few = st.integers(0, 2)
    match kind:
        case "string":
            formats = st.sampled_from(["date", "date-time", "duration", "ipv4", "byte", "unheard-of"])
            patterns = st.sampled_from(["^x", "y$", ".", "(?P<n>x)+"])
            enums = st.lists(TEXTS, min_size=1, max_size=3, unique=True)
            said = words(minLength=few, maxLength=few, format=formats, pattern=patterns, enum=enums)
            return {"type": "string", **draw(said)}
        case "integer":
            said = words(
                minimum=few, maximum=few, format=st.sampled_from(["int32", "int64"]), multipleOf=st.just(2)
            )
            return {"type": "integer", **draw(said)}
        case "free":
            typed = draw(st.sampled_from([{}, {"type": "object"}]))
            return {"x-kubernetes-preserve-unknown-fields": True, **typed, **draw(words())}
        case "text or number":
            return {"x-kubernetes-int-or-string": True, **draw(words())}
        case "array":
            said = words(minItems=few, maxItems=few, uniqueItems=st.just(False))
            return {"type": "array", "items": draw(nodes(depth - 1)), **draw(said)}
        case "map":
            return {"type": "object", "additionalProperties": draw(nodes(depth - 1)), **draw(words())}
        case "object":
            properties = draw(st.dictionaries(NAMES, nodes(depth - 1), max_size=3))
            said = words(
                required=st.lists(NAMES, max_size=2, unique=True),
                **{"x-kubernetes-preserve-unknown-fields": st.just(True)},
            )
            return {"type": "object", "properties": properties, **draw(said)}
        case _:
            return {"type": kind, **draw(words())}


@st.composite
def values(draw: st.DrawFn, node: Node) -> Any:
    """Mostly what `node` asks for."""
    if draw(st.integers(0, 11)) == 0:
        return draw(VALUES)
    match node.get("type"):
        case "string":
            return draw(st.sampled_from(node["enum"]) if "enum" in node else TEXTS)
        case "integer":
            return draw(st.integers(0, 2))
        case "boolean":
            return draw(st.booleans())
        case "array":
            return draw(st.lists(values(node["items"]), max_size=2))
        case "object" if "additionalProperties" in node:
            return draw(st.dictionaries(NAMES, values(node["additionalProperties"]), max_size=2))
        case "object":
            given_ = {name: values(child) for name, child in (node.get("properties") or {}).items()}
            needed = {name: value for name, value in given_.items() if name in node.get("required", ())}
            return draw(
                st.fixed_dictionaries(needed, optional={k: v for k, v in given_.items() if k not in needed})
            )
    return draw(VALUES)


def reader(root: Node) -> tuple[Shape, Quick]:
    shape = Catalogue().built_in.shapes.custom(root)
    found = Quick(shape)
    for _ in range(quick.READS_BEFORE):
        assert found.read({}) is None
    return shape, found


def walked(obj: dict[str, Any], shape: Shape) -> tuple[Any, Any, Any]:
    decoded, unknown = decoding.decode(copy.deepcopy(obj), shape)
    filled = decoding.default_custom(decoding.prune_nulls(decoded, shape), shape)
    return filled, unknown, structural.validate(filled, shape.node)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_fits_is_as_the_walk_would_have_left_it(data: st.DataObject) -> None:
    node = data.draw(nodes())
    root = {"type": "object", "properties": {"spec": node}}
    obj = {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "it", "labels": {"a": "b"}},
        "spec": data.draw(values(node)),
    }
    before = copy.deepcopy(obj)
    shape, found = reader(root)
    fits, read = found.fits(obj), found.read(obj)
    assert obj == before
    if fits:
        assert walked(obj, shape) == (before, [], [])
    if read is not None:
        assert fits
        assert read == before


def gpu_node() -> dict[str, Any]:
    gpus = [
        GPUStatus(
            uuid=f"GPU-{index}",
            index=index,
            product="NVIDIA H100 80GB HBM3",
            board="h100-80gb",
            memory_mib=81559,
            mig_mode=MigMode.ENABLED,
            links=[GPULink(peer="GPU-8", kind="NVLink", lanes=18)],
            instances=[
                GPUInstance(uuid=f"MIG-{index}", profile="1g.10gb", start=0, size=1, gi_id=7, ci_id=0)
            ],
        )
        for index in range(8)
    ]
    ready = Condition(type="Ready", status="True", reason="Serving", message="", observed_generation=1)
    ready.last_transition_time = "2026-11-01T08:00:00Z"
    status = GPUNodeStatus(driver_version="570.124.06", gpus=gpus, conditions=[ready], observed_generation=1)
    return cast(
        dict[str, Any], msgspec.to_builtins(GPUNode(metadata=ObjectMeta(name="node-1"), status=status))
    )


@pytest.fixture(scope="module")
def gpu_nodes() -> tuple[Shape, Quick]:
    return reader(GPUNODE_CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def test_our_own_objects_are_not_walked(gpu_nodes: tuple[Shape, Quick]) -> None:
    shape, found = gpu_nodes
    assert walked(gpu_node(), shape) == (gpu_node(), [], [])
    assert found.read(gpu_node()) == gpu_node()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda gpu: gpu.update(unheard="of"),
        lambda gpu: gpu.update(index="0"),
        lambda gpu: gpu.update(index=None),
        lambda gpu: gpu.pop("uuid"),
    ],
)
def test_what_is_not_as_it_should_be_is_walked(gpu_nodes: tuple[Shape, Quick], spoil: Any) -> None:
    obj = gpu_node()
    spoil(obj["status"]["gpus"][3])
    assert gpu_nodes[1].read(obj) is None


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
NAMED = {"metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 1}}}}


@pytest.mark.parametrize(
    ("node", "value", "beside"),
    [
        # Only Go's engine reads these rightly; msgspec has Python's.
        ({**TEXT, "pattern": r"^\p{L}+$"}, "abc", {}),
        ({**TEXT, "pattern": r"^a\z"}, "a", {}),
        ({**TEXT, "pattern": "^[[:alpha:]]$"}, ":", {}),
        ({**TEXT, "pattern": "a(?i)b"}, "aB", {}),
        # Python's own reading of these is another one.
        ({**TEXT, "pattern": "^[a-z]+$"}, "abc\n", {}),
        ({**TEXT, "pattern": r"^\d$"}, "\u0661", {}),
        # Limits that msgspec does not take.
        ({**TEXT, "maxLength": 2**63}, "x", {}),
        ({**TEXT, "maxLength": 3.0}, "x", {}),
        ({"type": "array", "items": TEXT, "maxItems": 3.0}, ["x"], {}),
        ({**WHOLE, "maximum": 2**64 - 1}, 5, {}),
        ({**WHOLE, "minimum": 0.5}, 5, {}),
        ({**WHOLE, "format": "uint64"}, 2**63, {}),
        ({**WHOLE, "format": "int32"}, 2**31, {}),
        (WHOLE, 2**63, {}),
        # Names that msgspec does not take.
        ({"type": "object", "properties": {'a"b': TEXT}}, {'a"b': "x"}, {}),
        ({"type": "object", "properties": {"a\\b": TEXT}}, {"a\\b": "x"}, {}),
        # An enum that does not name null forbids it, nullable or not.
        ({**TEXT, "enum": ["a"], "nullable": True}, None, {}),
        # The root may limit names.
        (TEXT, "x", NAMED),
        (TEXT, "x", {"kind": {"type": "string", "enum": ["Other"]}}),
    ],
)
def test_what_no_type_can_say_is_walked(node: Node, value: Any, beside: Node) -> None:
    _, found = reader({"type": "object", "properties": {**beside, "spec": node}})
    obj = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "it"}, "spec": value}
    assert found.read(obj) is None
