from random import Random
from typing import Any

import pytest

from aliquot.emulator.admission import Admitted, Operation
from aliquot.emulator.admission.matching import Rule, is_exempt, matched_as, namespace_matches, object_matches
from aliquot.emulator.admission.requests import request
from aliquot.emulator.http.request import parse
from aliquot.emulator.rbac import User
from aliquot.emulator.registry import Registry
from aliquot.emulator.statuses import StatusError
from aliquot.emulator.storage.storage import Storage
from aliquot.emulator.storage.store import Store
from aliquot.emulator.verbs.call import Call
from aliquot.kube.selectors import from_object
from tests.emulator.api import FixedClock

REGISTRY = Registry()
DEPLOYMENT = "/apis/apps/v1/namespaces/web/deployments/d"
POD = "/api/v1/namespaces/web/pods/p"


def asked(path: str, operation: Operation = Operation.UPDATE, *, query: str = "", **more: Any) -> Admitted:
    asked_for = parse("PUT", path, query)
    served = REGISTRY.find(asked_for.group, asked_for.version, asked_for.plural)
    assert served is not None
    call = Call(asked_for, served, User("ann", ("devs",), "u1", {"team": ("a", "b")}))
    storage = Storage(Store(), REGISTRY, clock=FixedClock())
    return Admitted(call, operation, asked_for.name, more.pop("old", None), storage, Random(1), **more)


def rule(**changes: Any) -> Rule:
    every = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    return Rule.of(every | changes)


@pytest.mark.parametrize(
    ("changes", "path", "matches"),
    [
        ({}, POD, True),
        ({"operations": ["UPDATE"]}, POD, True),
        ({"operations": ["CREATE", "DELETE"]}, POD, False),
        ({"apiGroups": [""]}, POD, True),
        ({"apiGroups": [""]}, DEPLOYMENT, False),
        ({"apiGroups": ["", "apps"]}, DEPLOYMENT, True),
        ({"apiVersions": ["v1beta1"]}, DEPLOYMENT, False),
        ({"resources": ["pods"]}, POD, True),
        ({"resources": ["pods"]}, f"{POD}/status", False),
        ({"resources": ["pods/status"]}, f"{POD}/status", True),
        ({"resources": ["pods/status"]}, POD, False),
        ({"resources": ["pods/*"]}, f"{POD}/status", True),
        ({"resources": ["pods/*"]}, POD, True),
        ({"resources": ["*"]}, POD, True),
        ({"resources": ["*"]}, f"{POD}/status", False),
        ({"resources": ["*/scale"]}, f"{DEPLOYMENT}/scale", True),
        ({"resources": ["*/scale"]}, DEPLOYMENT, False),
        ({"resources": ["deployments"]}, POD, False),
        ({"scope": "Namespaced"}, POD, True),
        ({"scope": "Cluster"}, POD, False),
        ({"scope": "Cluster"}, "/api/v1/nodes/n", True),
        ({"scope": "Namespaced"}, "/api/v1/nodes/n", False),
        ({"scope": "Cluster"}, "/api/v1/namespaces/web", True),
        ({"scope": "Namespaced"}, "/api/v1/namespaces/web", False),
        ({"resourceNames": ["p"]}, POD, True),
        ({"resourceNames": ["q"]}, POD, False),
    ],
)
def test_a_rule_matches(changes: Any, path: str, matches: bool) -> None:
    assert (matched_as([rule(**changes)], asked(path)) is not None) is matches


def test_an_equivalent_version_matches_where_it_may() -> None:
    core = asked("/api/v1/namespaces/web/events/e")
    other = [rule(apiGroups=["events.k8s.io"])]
    assert matched_as(other, core) is None
    found = matched_as(other, core, REGISTRY.equivalents)
    assert found is not None
    assert found.resource.group == "events.k8s.io"
    both = [rule(apiGroups=["events.k8s.io"]), rule(apiGroups=[""])]
    assert matched_as(both, core, REGISTRY.equivalents) is core.served


LABELLED = {"metadata": {"name": "x", "labels": {"tier": "gold"}}}
GOLD = from_object({"matchLabels": {"tier": "gold"}})


@pytest.mark.parametrize(
    ("obj", "old", "matches"),
    [
        (LABELLED, None, True),
        ({"metadata": {}}, LABELLED, True),
        ({"metadata": {}}, {"metadata": {}}, False),
        (None, LABELLED, True),
        (None, None, False),
    ],
)
def test_objects_are_matched_before_and_after(obj: Any, old: Any, matches: bool) -> None:
    assert object_matches(GOLD, asked(POD, old=old), obj) is matches


async def test_namespaces_are_matched_by_their_labels() -> None:
    there = asked(POD)
    storage = there.look
    assert isinstance(storage, Storage)
    with pytest.raises(StatusError) as refusal:
        namespace_matches(GOLD, there, None)
    assert refusal.value.status["code"] == 404
    await storage.store.create("namespaces", "", "web", LABELLED)
    assert namespace_matches(GOLD, there, None)
    assert not namespace_matches(from_object({"matchLabels": {"tier": "lead"}}), there, None)
    # Nothing keeps out what is in no namespace; a Namespace is matched by what it is to be.
    assert namespace_matches(GOLD, asked("/api/v1/nodes/n"), None)
    namespace = asked("/api/v1/namespaces/web")
    assert namespace_matches(GOLD, namespace, LABELLED)
    assert not namespace_matches(GOLD, namespace, {"metadata": {}})


def test_the_configuration_of_admission_is_exempt() -> None:
    assert not is_exempt(asked(POD))


def test_a_request_says_who_does_what_to_what() -> None:
    scaled = asked(f"{DEPLOYMENT}/scale", query="fieldManager=m&dryRun=All", dry_run=True)
    assert request(scaled, scaled.served) == {
        "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "subResource": "scale",
        "requestKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
        "requestResource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "requestSubResource": "scale",
        "name": "d",
        "namespace": "web",
        "operation": "UPDATE",
        "userInfo": {"username": "ann", "uid": "u1", "groups": ["devs"], "extra": {"team": ["a", "b"]}},
        "dryRun": True,
        "options": {
            "kind": "UpdateOptions",
            "apiVersion": "meta.k8s.io/v1",
            "dryRun": ["All"],
            "fieldManager": "m",
        },
    }
