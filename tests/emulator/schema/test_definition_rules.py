"""What definitions of custom kinds are refused with. Each text was sent by a kube-apiserver for the same definition."""

from typing import Any

import pytest

from tests.emulator.schema.objects import schema, texts
from tests.emulator.schema.test_custom_objects import CRD

ABOUT_APPROVAL = ", see https://github.com/kubernetes/enhancements/pull/1111"
KNOWN = schema("CustomResourceDefinition", "apiextensions.k8s.io")
CLIENT, REVIEWS = "spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions"
NEEDED = "Required value: required when strategy is set to Webhook"
ODD_LABEL = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def problems(definition: dict[str, Any]) -> list[str]:
    return texts(KNOWN.validate(KNOWN.default(definition)))


def definition(**spec: Any) -> dict[str, Any]:
    group = spec.get("group", "example.com")
    return {
        "metadata": {"name": f"widgets.{group}", "annotations": spec.pop("annotations", {})},
        "spec": {**CRD["spec"], **spec},
    }


def version(name: str, *, storage: bool, kind: str = "object", **more: Any) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": kind}}
    return {"name": name, "served": True, "storage": storage, "schema": schema, **more}


def webhook(versions: list[str], **client: Any) -> dict[str, Any]:
    hook: dict[str, Any] = {"conversionReviewVersions": versions}
    if client:
        hook["clientConfig"] = client.get("client", client)
    return {"strategy": "Webhook", "webhook": hook}


def held(name: str, *, storage: bool) -> str:
    """A version whose parts are held once for all."""
    return (
        f'{{"Name":"{name}","Served":true,"Storage":{str(storage).lower()},"Deprecated":false,"DeprecationWarning":null,'
        '"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}'
    )


@pytest.mark.parametrize(
    ("conversion", "expected"),
    [
        ({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}},
         [f"{REVIEWS}: Forbidden: should not be set when strategy is not set to Webhook"]),
        ({"strategy": "Webhook"}, [f"{CLIENT}: {NEEDED}", f"{REVIEWS}: Required value"]),
        (webhook(["v1"]), [f"{CLIENT}: {NEEDED}"]),
        (webhook(["v1"], client={}), [f"{CLIENT}: Required value: exactly one of url or service is required"]),
        (webhook(["v1"], url="https://a", service={"name": "a", "namespace": "b"}),
         [f"{CLIENT}: Required value: exactly one of url or service is required"]),
        (webhook(["v1"], url="http://a"),
         [f"{CLIENT}.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: "
          "https://host[/path]"]),
        (webhook(["v1"], service={"name": "", "namespace": ""}),
         [f"{CLIENT}.service.name: Required value", f"{CLIENT}.service.namespace: Required value"]),
        (webhook([], url="https://a"), [f"{REVIEWS}: Required value"]),
        (webhook(["v2"], url="https://a"),
         [f'{REVIEWS}: Invalid value: ["v2"]: must include at least one of v1, v1beta1']),
        (webhook(["v1", "v1", "X_"], url="https://a"),
         [f'{REVIEWS}[1]: Invalid value: "v1": duplicate version',
          f'{REVIEWS}[2]: Invalid value: "X_": {ODD_LABEL}']),
        (webhook(["v1"], url="https://a"), []),
    ],
)  # fmt: skip
def test_conversions(conversion: dict[str, Any], expected: list[str]) -> None:
    assert problems(definition(conversion=conversion)) == expected


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([],
         ["spec.versions: Invalid value: []: must have exactly one version marked as storage version",
          "status.storedVersions: Invalid value: null: must have at least one stored version"]),
        ([version("v1", storage=False)],
         [f"spec.versions: Invalid value: [{held('v1', storage=False)}]: must have exactly one version marked as "
          "storage version",
          "status.storedVersions: Invalid value: null: must have at least one stored version"]),
        ([version("v1", storage=True), version("v2", storage=True)],
         [f"spec.versions: Invalid value: [{held('v1', storage=True)},{held('v2', storage=True)}]: must have exactly "
          "one version marked as storage version",
          'status.storedVersions: Invalid value: ["v1"]: must have the storage version v2']),
        ([version("v1", storage=True), version("v1", storage=False)],
         [f"spec.versions: Invalid value: [{held('v1', storage=True)},{held('v1', storage=False)}]: must contain unique "
          "version names"]),
        ([version("V1", storage=True)],
         [f'spec.versions[0].name: Invalid value: "V1": {ODD_LABEL}', f'spec.version: Invalid value: "V1": {ODD_LABEL}']),
        # What all versions have in common is spoken of once.
        ([version("v1", storage=True, kind="string"), version("v2", storage=False, kind="string")],
         ['spec.validation.openAPIV3Schema.type: Invalid value: "string": must be object at the root']),
        ([version("v1", storage=True), version("v2", storage=False, kind="string")],
         ['spec.versions[1].schema.openAPIV3Schema.type: Invalid value: "string": must be object at the root']),
        ([version("v1", storage=True, selectableFields=[{"jsonPath": ""}]), version("v2", storage=False)],
         ["spec.versions[0].selectableFields[0].jsonPath: Required value"]),
        ([version("v1", storage=True, selectableFields=[{"jsonPath": ""}])],
         ["spec.selectableFields[0].jsonPath: Required value"]),
    ],
)  # fmt: skip
def test_versions(versions: list[dict[str, Any]], expected: list[str]) -> None:
    assert problems(definition(versions=versions)) == expected


@pytest.mark.parametrize(
    ("group", "annotation", "expected"),
    [
        ("x.k8s.io", "", f'Required value: protected groups must have approval annotation "{{0}}"{ABOUT_APPROVAL}'),
        ("x.kubernetes.io", "yes",
         'Invalid value: "yes": protected groups must have approval annotation "{0}" with either a URL or a reason '
         f'starting with "unapproved"{ABOUT_APPROVAL}'),
        ("x.k8s.io", "unapproved, a trial", ""),
        ("x.k8s.io", "https://example.com/1", ""),
        ("x-k8s.io", "", ""),
    ],
)  # fmt: skip
def test_groups_of_kubernetes_need_approval(group: str, annotation: str, expected: str) -> None:
    key = "api-approved.kubernetes.io"
    annotations = {key: annotation} if annotation else {}
    path = f"metadata.annotations[{key}]"
    wanted = [f"{path}: {expected.format(key)}"] if expected else []
    assert problems(definition(group=group, annotations=annotations)) == wanted


def test_what_was_not_approved_may_stay_so() -> None:
    old = KNOWN.default(definition(group="x.k8s.io"))
    new = {**old, "spec": {**old["spec"], "scope": "Cluster"}}
    assert texts(KNOWN.validate_update(new, old)) == []


def test_values_within_fields_may_be_judged_where_nothing_is_declared() -> None:
    judged = {"type": "object", "allOf": [{"properties": {"undeclared": {"minimum": 1}}}]}
    root = {"type": "object", "properties": {"spec": judged}}
    assert (
        problems(definition(versions=[version("v1", storage=True, schema={"openAPIV3Schema": root})])) == []
    )
