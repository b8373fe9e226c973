"""The addresses of services as objects: IPAddresses and ServiceCIDRs. Dicts, not changed."""

from ipaddress import ip_address, ip_interface
from typing import Any

from aliquot.emulator.schema.errors import FieldError, invalid, required
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.metadata import IMMUTABLE

Obj = dict[str, Any]

_CIDRS = "spec.cidrs"
_PARENT = "spec.parentRef"


def address_name(value: str) -> list[str]:
    """An IPAddress is named by the address that it stands for."""
    problems = names.address(value)
    if not problems and str(ip_address(value)) != value:
        return [f'must be in canonical form ("{ip_address(value)}")']
    return problems


def address(obj: Obj) -> list[FieldError]:
    parent = obj["spec"].get("parentRef")
    if parent is None:
        return [required(_PARENT)]
    errors: list[FieldError] = []
    if group := parent.get("group"):
        errors += [invalid(f"{_PARENT}.group", group, text) for text in names.dns_subdomain(group)]
    for field in ("resource", "name", "namespace"):
        if value := parent.get(field):
            errors += [invalid(f"{_PARENT}.{field}", value, text) for text in names.path_segment(value)]
        elif field != "namespace":
            errors.append(required(f"{_PARENT}.{field}"))
    return errors


def address_update(new: Obj, old: Obj) -> list[FieldError]:
    parent = new["spec"].get("parentRef")
    if parent == old["spec"].get("parentRef"):
        return []
    fields = ("Group", "Resource", "Namespace", "Name")
    shown = parent and {field: parent.get(field.lower(), "") for field in fields}
    return [invalid(_PARENT, shown, IMMUTABLE)]


def network(obj: Obj) -> list[FieldError]:
    cidrs = obj["spec"].get("cidrs") or []
    if not cidrs:
        return [required(_CIDRS, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(_CIDRS, {"CIDRs": cidrs}, "may only hold up to 2 values")]
    errors = [
        invalid(f"{_CIDRS}[{index}]", cidr, text)
        for index, cidr in enumerate(cidrs)
        for text in names.network(cidr)
    ]
    if len(cidrs) == 2 and not errors and len({ip_interface(cidr).version for cidr in cidrs}) == 1:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid(_CIDRS, cidrs, text))
    return errors


def network_update(new: Obj, old: Obj) -> list[FieldError]:
    """What is there stays; a second family may come to it."""
    before, after = old["spec"].get("cidrs") or [], new["spec"].get("cidrs") or []
    if len(after) != len(before) and (len(before), len(after)) != (1, 2):
        return [invalid(_CIDRS, after, IMMUTABLE)]
    changed = [index for index, cidr in enumerate(before) if after[index] != cidr]
    return [invalid(f"{_CIDRS}[{index}]", after[index], IMMUTABLE) for index in changed]
