from pathlib import Path
from typing import Any

import pytest

from aliquot.document import DocumentError
from aliquot.emulator.audit.policy import Extent, Level, Stage, load
from aliquot.emulator.http.request import parse
from aliquot.emulator.rbac import User

ANN = User("ann", ("devs", "system:authenticated"))
POD = "/api/v1/namespaces/web/pods/p"


def policy(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return load(path)


def one_rule(tmp_path: Path, fields: str) -> Any:
    return policy(
        tmp_path, f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{{level: Metadata, {fields}}}]\n"
    )


@pytest.mark.parametrize(
    ("fields", "method", "path", "matches"),
    [
        ("", "GET", POD, True),
        ("", "GET", "/healthz", True),
        ("users: [ann]", "GET", POD, True),
        ("users: [bob]", "GET", POD, False),
        ("userGroups: [ops, devs]", "GET", POD, True),
        ("userGroups: [ops]", "GET", POD, False),
        ("verbs: [get, list]", "GET", POD, True),
        ("verbs: [delete]", "GET", POD, False),
        ("namespaces: [web]", "GET", POD, True),
        ("namespaces: [db]", "GET", POD, False),
        ("namespaces: ['']", "GET", "/api/v1/nodes/n", True),
        ("namespaces: ['']", "GET", POD, False),
        ("namespaces: ['']", "GET", "/healthz", False),
        ("resources: [{group: ''}]", "GET", POD, True),
        ("resources: [{group: apps}]", "GET", POD, False),
        ("resources: [{group: '', resources: [pods]}]", "GET", POD, True),
        ("resources: [{group: '', resources: [pods]}]", "GET", f"{POD}/log", False),
        ("resources: [{group: '', resources: [pods/log]}]", "GET", f"{POD}/log", True),
        ("resources: [{group: '', resources: [pods/log]}]", "GET", POD, False),
        ("resources: [{group: '', resources: ['pods/*']}]", "GET", f"{POD}/log", True),
        ("resources: [{group: '', resources: ['pods/*']}]", "GET", POD, True),
        ("resources: [{group: '', resources: ['*/status']}]", "PUT", f"{POD}/status", True),
        ("resources: [{group: '', resources: ['*/status']}]", "PUT", POD, False),
        ("resources: [{group: '', resources: ['*']}]", "GET", f"{POD}/log", True),
        ("resources: [{group: '', resources: [pods], resourceNames: [p]}]", "GET", POD, True),
        ("resources: [{group: '', resources: [pods], resourceNames: [q]}]", "GET", POD, False),
        ("resources: [{group: ''}]", "GET", "/healthz", False),
        ("nonResourceURLs: ['*']", "GET", "/version", True),
        ("nonResourceURLs: [/healthz]", "GET", "/healthz", True),
        ("nonResourceURLs: [/healthz]", "GET", "/healthz/etcd", False),
        ("nonResourceURLs: ['/healthz*']", "GET", "/healthz/etcd", True),
        ("nonResourceURLs: ['*']", "GET", POD, False),
        ("users: [ann], verbs: [get], namespaces: [web]", "GET", POD, True),
        ("users: [ann], verbs: [get], namespaces: [db]", "GET", POD, False),
    ],
)
def test_a_rule_matches(tmp_path: Path, fields: str, method: str, path: str, matches: bool) -> None:
    extent = one_rule(tmp_path, fields).extent(ANN, parse(method, path, ""))
    assert (extent.level is Level.METADATA) is matches


def test_nobody_is_no_user(tmp_path: Path) -> None:
    asked = parse("GET", POD, "")
    assert one_rule(tmp_path, "users: [ann]").extent(None, asked).level is Level.NONE
    assert one_rule(tmp_path, "verbs: [get]").extent(None, asked).level is Level.METADATA


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    found = policy(
        tmp_path,
        """
apiVersion: audit.k8s.io/v1
kind: Policy
metadata: {name: p}
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [bob]
- level: RequestResponse
  verbs: [create]
  omitStages: [Panic]
  omitManagedFields: false
- level: Request
""",
    )
    create, get = parse("POST", "/api/v1/namespaces/web/pods", ""), parse("GET", POD, "")
    assert found.extent(User("bob"), create) == Extent(Level.NONE, frozenset({Stage.REQUEST_RECEIVED}), True)
    assert found.extent(ANN, create) == Extent(
        Level.REQUEST_RESPONSE, frozenset({Stage.REQUEST_RECEIVED, Stage.PANIC})
    )
    assert found.extent(ANN, get) == Extent(Level.REQUEST, frozenset({Stage.REQUEST_RECEIVED}), True)


def test_levels_cover_each_other() -> None:
    assert [Level.REQUEST.covers(other) for other in Level] == [True, True, True, False]


HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "kind: Policy\napiVersion: v1\nrules: [{level: None}]\n",
            1,
            "a Policy of audit.k8s.io/v1 is expected, not Policy of v1",
        ),
        (f"{HEAD}rules: []\n", 3, "at least one is needed"),
        (HEAD, 1, "rules"),
        (f"{HEAD}rules:\n- level: Loud\n", 4, "Loud"),
        (f"{HEAD}rules:\n- verbs: [get]\n", 4, "level"),
        (f"{HEAD}rules:\n- level: None\n  verb: [get]\n", 5, "did you mean 'verbs'?"),
        (f"{HEAD}rules:\n- level: None\n  omitStages: [Begin]\n", 5, "Begin"),
        (
            f"{HEAD}rules:\n- level: None\n  nonResourceURLs: [healthz]\n",
            5,
            "must begin with a '/' character",
        ),
        (f"{HEAD}rules:\n- level: None\n  nonResourceURLs: ['/a*b']\n", 5, "must be the final character"),
        (
            f"{HEAD}rules:\n- level: None\n  nonResourceURLs: [/a]\n  namespaces: [n]\n",
            5,
            "rules cannot apply to both regular resources and non-resource URLs",
        ),
        (
            f"{HEAD}rules:\n- level: None\n  resources:\n  - group: apps/v1\n",
            6,
            "lowercase RFC 1123 subdomain",
        ),
        (
            f"{HEAD}rules:\n- level: None\n  resources:\n  - resourceNames: [x]\n",
            6,
            "using resourceNames requires at least one resource",
        ),
    ],
)
def test_a_policy_that_is_wrong_is_refused_at_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    with pytest.raises(DocumentError) as refusal:
        policy(tmp_path, text)
    assert str(refusal.value).startswith(f"{tmp_path / 'policy.yaml'}:{line}: ")
    assert words in str(refusal.value)
