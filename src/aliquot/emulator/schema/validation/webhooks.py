"""Webhook configurations, and the rules and match conditions that admission policies share with them."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aliquot.emulator.schema.errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_many,
)
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.metadata import label_selector

Obj = Mapping[str, Any]

_ANY = "*"
_OPERATIONS = (_ANY, "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = (_ANY, "Cluster", "Namespaced")
_SIDE_EFFECTS = ("None", "NoneOnDryRun")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_MOST_CONDITIONS = 64
_URL_FORM = "; desired format: https://host[/path]"
_LONGEST_TIMEOUT_S = 30


def configuration(obj: Obj, minor: int) -> list[FieldError]:
    """A MutatingWebhookConfiguration or a ValidatingWebhookConfiguration."""
    errors: list[FieldError] = []
    seen = set()
    for index, hook in enumerate(obj.get("webhooks", ())):
        path = f"webhooks[{index}]"
        errors += _webhook(hook, path, minor)
        errors += _review_versions(
            hook.get("admissionReviewVersions") or (), f"{path}.admissionReviewVersions"
        )
        name = hook.get("name", "")
        if name and name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _webhook(hook: Obj, path: str, minor: int) -> list[FieldError]:
    errors = _full_name(hook.get("name", ""), f"{path}.name")
    for index, rule in enumerate(hook.get("rules", ())):
        errors += rule_with_operations(rule, f"{path}.rules[{index}]")
    errors += _one_of(hook, "failurePolicy", ("Fail", "Ignore"), path)
    errors += _one_of(hook, "matchPolicy", ("Equivalent", "Exact"), path)
    if not hook.get("sideEffects"):
        listed = ", ".join(_SIDE_EFFECTS)
        errors.append(required(f"{path}.sideEffects", f"must specify one of {listed}"))
    errors += _one_of(hook, "sideEffects", _SIDE_EFFECTS, path)
    timeout_s = hook.get("timeoutSeconds", 1)
    if not 1 <= timeout_s <= _LONGEST_TIMEOUT_S:
        text = f"the timeout value must be between 1 and {_LONGEST_TIMEOUT_S} seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", timeout_s, text))
    for name in ("namespaceSelector", "objectSelector"):
        errors += label_selector(hook.get(name, {}), f"{path}.{name}")
    errors += _one_of(hook, "reinvocationPolicy", ("IfNeeded", "Never"), path)
    errors += client_config(hook.get("clientConfig", {}), f"{path}.clientConfig")
    return errors + match_conditions(hook.get("matchConditions", ()), f"{path}.matchConditions", minor)


def _one_of(hook: Obj, name: str, supported: Sequence[str], path: str) -> list[FieldError]:
    value = hook.get(name)
    return [not_supported(f"{path}.{name}", value, supported)] if value and value not in supported else []


def _full_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    if problems := names.dns_subdomain(name):
        return [invalid(path, name, ",".join(problems))]
    if name.count(".") < 2:
        return [invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def _review_versions(versions: Sequence[str], path: str) -> list[FieldError]:
    if not versions:
        return [required(path, f"must specify one of {', '.join(_REVIEW_VERSIONS)}")]
    return review_versions(versions, path)


def review_versions(versions: Sequence[str], path: str) -> list[FieldError]:
    """Those of reviews that a webhook takes; there is at least one."""
    errors: list[FieldError] = []
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.append(invalid(f"{path}[{index}]", version, "duplicate version"))
            continue
        errors += [invalid(f"{path}[{index}]", version, text) for text in names.dns_1035_label(version)]
    if not set(versions) & set(_REVIEW_VERSIONS):
        text = f"must include at least one of {', '.join(_REVIEW_VERSIONS)}"
        errors.append(invalid(path, list(versions), text))
    return errors


# ---- rules ---------------------------------------------------------------------------------------------------


def rule_with_operations(rule: Obj, path: str) -> list[FieldError]:
    operations = rule.get("operations", ())
    errors: list[FieldError] = []
    if not operations:
        errors.append(required(f"{path}.operations"))
    if len(operations) > 1 and _ANY in operations:
        text = "if '*' is present, must not specify other operations"
        errors.append(invalid(f"{path}.operations", list(operations), text))
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            errors.append(not_supported(f"{path}.operations[{index}]", operation, _OPERATIONS))
    for field, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(field) or ()
        if not values:
            errors.append(required(f"{path}.{field}"))
        if len(values) > 1 and _ANY in values:
            text = f"if '*' is present, must not specify other {what}"
            errors.append(invalid(f"{path}.{field}", list(values), text))
    for index, version in enumerate(rule.get("apiVersions", ())):
        if not version:
            errors.append(required(f"{path}.apiVersions[{index}]"))
    errors += _resources(rule.get("resources", ()), f"{path}.resources")
    return errors + _one_of(rule, "scope", _SCOPES, path)


def _resources(resources: Sequence[str], path: str) -> list[FieldError]:
    if not resources:
        return [required(path)]
    errors: list[FieldError] = []
    of_any_subresource, of_any_resource = set(), set()
    for index, named in enumerate(resources):
        if not named:
            errors.append(required(f"{path}[{index}]"))
            continue
        resource, slash, subresource = named.partition("/")
        if not slash:
            continue
        if resource in of_any_subresource:
            text = f"if '{resource}/*' is present, must not specify {named}"
            errors.append(invalid(f"{path}[{index}]", named, text))
        if subresource in of_any_resource:
            text = f"if '*/{subresource}' is present, must not specify {named}"
            errors.append(invalid(f"{path}[{index}]", named, text))
        if subresource == _ANY:
            of_any_subresource.add(resource)
        if resource == _ANY:
            of_any_resource.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        text = "if '*/*' is present, must not specify other resources"
        errors.append(invalid(path, list(resources), text))
    if _ANY in resources and any(one != _ANY and "/" not in one for one in resources):
        text = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, list(resources), text))
    return errors


# ---- whom to call ----------------------------------------------------------------------------------------------


def client_config(client: Obj, path: str) -> list[FieldError]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    return _url(url, f"{path}.url") if url is not None else _service(service or {}, f"{path}.service")


def _url(text: str, path: str) -> list[FieldError]:
    try:
        url = urlsplit(text)
        user = _user(url)
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}{_URL_FORM}")]
    errors: list[FieldError] = []
    if url.scheme != "https":
        errors.append(invalid(path, url.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}"))
    if not url.hostname:
        errors.append(invalid(path, url.netloc, f"host must be provided{_URL_FORM}"))
    if user:
        errors.append(invalid(path, user, "user information is not permitted in the URL"))
    if url.fragment:
        errors.append(invalid(path, url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        errors.append(invalid(path, url.query, "query parameters are not permitted in the URL"))
    return errors


def _user(url: SplitResult) -> str:
    """Raises ValueError for a port that is none."""
    _ = url.port
    user, at, _ = url.netloc.rpartition("@")
    return user if at else ""


def _service(service: Obj, path: str) -> list[FieldError]:
    errors = [required(f"{path}.{field}") for field in ("name", "namespace") if not service.get(field)]
    port = service.get("port", 443)
    if problems := names.port_number(port):
        errors.append(invalid(f"{path}.port", port, f"port is not valid: {', '.join(problems)}"))
    return errors + _service_path(service.get("path") or "", f"{path}.path")


def _service_path(text: str, path: str) -> list[FieldError]:
    if text in ("", "/"):
        return []
    if text == "//":
        return [invalid(path, text, "segment[0] may not be empty")]
    errors: list[FieldError] = []
    if not text.startswith("/"):
        errors.append(invalid(path, text, "must start with a '/'"))
    for index, segment in enumerate(text[1:].removesuffix("/").split("/")):
        if not segment:
            errors.append(invalid(path, text, f"segment[{index}] may not be empty"))
        else:
            problems = names.dns_subdomain(segment)
            errors += [invalid(path, text, f"segment[{index}]: {problem}") for problem in problems]
    return errors


# ---- match conditions --------------------------------------------------------------------------------------------


def match_conditions(conditions: Sequence[Obj], path: str, minor: int) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(conditions) > _MOST_CONDITIONS:
        errors.append(too_many(path, len(conditions), _MOST_CONDITIONS))
    seen = set()
    for index, condition in enumerate(conditions):
        where, name = f"{path}[{index}]", condition.get("name", "")
        expression = condition.get("expression", "").strip()
        if expression:
            errors += _boolean(expression, f"{where}.expression", minor)
        else:
            errors.append(required(f"{where}.expression"))
        if name:
            errors += [invalid(where, name, problem) for problem in names.qualified_name(name)]
            if name in seen:
                errors.append(duplicate(f"{where}.name", name))
            seen.add(name)
        else:
            errors.append(required(f"{where}.name"))
    return errors


def _boolean(expression: str, path: str, minor: int) -> list[FieldError]:
    # The compiler behind it is big: it is not imported before there is something to compile.
    from aliquot.emulator.admission.expressions import environment
    from aliquot.emulator.cel import CompileError
    from aliquot.emulator.cel.types import BOOL

    try:
        program = environment(minor).compile(expression)
    except CompileError as error:
        return [invalid(path, expression, f"compilation failed: {error}")]
    if program.result != BOOL:
        return [invalid(path, expression, f"must evaluate to bool but got {program.result}")]
    return []
