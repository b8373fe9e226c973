"""Specs that were read before: what is remembered of them must be what a reading makes of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.schema import known_specs
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import DecodeError, Schema
from aliquot.emulator.schema.known_specs import KnownSpecs, Read

CATALOGUE = Catalogue()

# Among them what is dropped, spelled anew, unknown, or of the wrong type.
odd = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "0.5", "2000m"])
containers = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b"])},
    optional={
        "image": st.sampled_from(["i", "i:1", "i:latest"]),
        "resources": st.dictionaries(
            st.sampled_from(["limits", "requests"]),
            st.dictionaries(st.sampled_from(["cpu", "memory"]), odd, max_size=2),
            max_size=2,
        ),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(1, 3)}), max_size=2),
        "stdin": odd,
        "unheard": odd,
    },
)
specs = st.fixed_dictionaries(
    {},
    optional={
        "containers": st.lists(containers, max_size=2),
        "hostNetwork": st.booleans(),
        "serviceAccountName": odd,
        "priority": odd,
        "overhead": st.dictionaries(st.just("cpu"), odd, max_size=1),
        "unheard": odd,
    },
)
rests = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({"name": odd}, optional={"labels": st.none(), "unheard": odd}),
        "status": st.fixed_dictionaries({}, optional={"phase": odd, "conditions": st.just([])}),
        "unheard": odd,
    },
)


def pod_schema() -> Schema:
    found = CATALOGUE.get("", "v1", "Pod")
    assert found is not None
    return found


def outcome(read: Any, obj: dict[str, Any]) -> Read | str:
    try:
        return read(obj)  # type: ignore[no-any-return]
    except DecodeError as error:
        return str(error)


@settings(max_examples=150)
@given(st.lists(specs, min_size=1, max_size=2), st.lists(rests, min_size=1, max_size=3))
def test_what_is_remembered_is_what_is_read(some: list[dict[str, Any]], rests: list[dict[str, Any]]) -> None:
    schema = pod_schema()

    def anew(obj: dict[str, Any]) -> Read:
        decoded, errors = schema.decode(obj)
        return schema.default(decoded), errors

    for spec in some:
        for rest in rests:
            obj = {"apiVersion": "v1", "kind": "Pod", **rest, "spec": spec}
            assert outcome(schema.read, obj) == outcome(anew, obj)


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_nobody_shares_what_was_read() -> None:
    schema = pod_schema()
    for name in ("a", "b", "c"):
        read, _ = schema.read(pod(name))
        assert read["metadata"]["name"] == name
        assert [container["name"] for container in read["spec"]["containers"]] == ["c"]
        read["spec"]["containers"][0]["name"] = "changed"


def test_what_is_remembered_has_no_errors_and_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_specs, "_REMEMBERED", 2)
    monkeypatch.setattr(known_specs, "_LONGEST_BYTES", 20)
    known = KnownSpecs()

    def is_read(spec: Any, *errors: str) -> bool:
        """Whether it came to a reading of the spec."""
        reads = []

        def read(obj: dict[str, Any]) -> Read:
            reads.append(obj)
            return obj, list(errors)

        assert known.read({"spec": spec}, read) == ({"spec": spec}, list(errors))
        return "spec" in reads[0]

    assert [is_read({"a": number}) for number in (1, 2, 1, 3, 1, 2)] == [True, True, False, True, False, True]
    assert [is_read({"b": 1}, 'unknown field "spec.b"') for _ in range(2)] == [True, True]
    assert [is_read({"b": "x" * 20}) for _ in range(2)] == [True, True]
