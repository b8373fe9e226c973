"""What is understood of a request is remembered: a second time must say what a first one would."""

from typing import Any

import pytest

from aliquot.emulator.asked import understood
from aliquot.emulator.http.request import parse
from aliquot.emulator.rbac import Attributes

PODS = "/api/v1/namespaces/n/pods"


def told(method: str, path: str, query: str) -> tuple[dict[str, Any], Attributes]:
    request, asked = understood(method, path, query)
    said = {name: getattr(request, name) for name in request.__slots__ if name != "query"}
    return said | {"names": request.query.texts("name"), "watch": request.query.flag("watch")}, asked


@pytest.mark.parametrize(
    ("method", "path", "query", "verb", "name"),
    [
        ("GET", f"{PODS}/p", "", "get", "p"),
        ("DELETE", f"{PODS}/p", "", "delete", "p"),
        ("POST", PODS, "", "create", ""),
        ("GET", PODS, "", "list", ""),
        ("GET", PODS, "watch=1&name=a&name=b", "watch", ""),
        ("GET", PODS, "fieldSelector=metadata.name%3Dp", "list", "p"),
        ("GET", "/healthz", "", "get", ""),
        ("GET", f"{PODS}/{'p' * 600}", "", "get", "p" * 600),
    ],
)
def test_what_is_remembered_is_what_is_read(method: str, path: str, query: str, verb: str, name: str) -> None:
    first = told(method, path, query)
    assert (first[1].verb, first[1].name) == (verb, name)
    assert told(method, path, query) == first
    assert first[0]["names"] == parse(method, path, query).query.texts("name")


def test_only_short_ones_are_remembered() -> None:
    def is_remembered(path: str) -> bool:
        return understood("GET", path, "")[0] is understood("GET", path, "")[0]

    assert is_remembered(f"{PODS}/p")
    assert not is_remembered(f"{PODS}/{'p' * 600}")
