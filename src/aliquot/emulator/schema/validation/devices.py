"""resource.k8s.io: what is asked of devices and what there is of them. CEL expressions are not compiled."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import FieldError, duplicate, invalid, required
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.metadata import IMMUTABLE, template_metadata

Obj = Mapping[str, Any]

_ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
_BESIDE_A_NAME = ("name", "firstAvailable", "exactly")


def claim(obj: Obj) -> list[FieldError]:
    return _requests(obj["spec"], "spec")


def claim_template(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    return template_metadata(spec.get("metadata") or {}, "spec.metadata") + _requests(
        spec.get("spec", {}), "spec.spec"
    )


def spec_update(obj: Obj, old: Obj) -> list[FieldError]:
    """Of claims and their templates."""
    return [] if obj["spec"] == old["spec"] else [invalid("spec", obj["spec"], IMMUTABLE)]


def slice_update(obj: Obj, old: Obj) -> list[FieldError]:
    errors = []
    for path in (("nodeName",), ("driver",), ("pool", "name")):
        new, was = _at(obj["spec"], path), _at(old["spec"], path)
        if new != was:
            errors.append(invalid(f"spec.{'.'.join(path)}", new, IMMUTABLE))
    return errors


def _at(spec: Obj, path: Sequence[str]) -> Any:
    value: Any = spec
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _requests(spec: Obj, where: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, request in enumerate((spec.get("devices") or {}).get("requests") or ()):
        path = f"{where}.devices.requests[{index}]"
        errors += _name(request, path, seen)
        # v1beta1 has beside the name what later versions have under `exactly`.
        flat = {key: value for key, value in request.items() if key not in _BESIDE_A_NAME}
        exact = request.get("exactly", flat)
        alternatives = request.get("firstAvailable") or ()
        if bool(exact) == bool(alternatives):
            several = f"{_ONE_OF}, but multiple fields are set"
            errors.append(invalid(path, None, several) if exact else required(path, _ONE_OF))
        elif exact:
            below = f"{path}.exactly" if "exactly" in request else path
            errors += _class(exact, below)
        inner: set[str] = set()
        for place, alternative in enumerate(alternatives):
            below = f"{path}.firstAvailable[{place}]"
            errors += _name(alternative, below, inner)
            errors += _class(alternative, below)
    return errors


def _name(request: Obj, path: str, seen: set[str]) -> list[FieldError]:
    name = request.get("name", "")
    if not name:
        return [required(f"{path}.name")]
    if name in seen:
        return [duplicate(f"{path}.name", name)]
    seen.add(name)
    return [invalid(f"{path}.name", name, problem) for problem in names.dns_label(name)]


def _class(request: Obj, path: str) -> list[FieldError]:
    name = request.get("deviceClassName", "")
    if not name:
        return [required(f"{path}.deviceClassName")]
    return [invalid(f"{path}.deviceClassName", name, problem) for problem in names.dns_subdomain(name)]
