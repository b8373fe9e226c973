"""certificates.k8s.io: requests that can be read and signed, and conditions that only add up."""

from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Mapping
from typing import Any

from aliquot.emulator.certificate_requests import signers
from aliquot.emulator.schema.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.validation import names

Obj = Mapping[str, Any]

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_FINAL = ("Approved", "Denied", "Failed")


def request(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = []
    try:
        signers.parse(b64decode(spec.get("request") or ""))
    except (signers.RequestInvalid, NoBase64, ValueError) as error:
        errors.append(invalid("spec.request", spec.get("request"), str(error)))
    errors += _usages(spec.get("usages") or ())
    errors += _signer(spec.get("signerName", ""))
    lasts_s = spec.get("expirationSeconds")
    if lasts_s is not None and lasts_s < signers.SHORTEST_S:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", lasts_s, why))
    return errors


def _usages(usages: Any) -> list[FieldError]:
    if not usages:
        return [required("spec.usages", "usages must be provided")]
    errors = []
    for index, usage in enumerate(usages):
        path = f"spec.usages[{index}]"
        if usage not in USAGES:
            errors.append(not_supported(path, usage, USAGES))
        elif usage in usages[:index]:
            errors.append(duplicate(path, usage))
    return errors


def _signer(name: str) -> list[FieldError]:
    path = "spec.signerName"
    if not name:
        return [required(path)]
    if name == signers.LEGACY_UNKNOWN:
        return [invalid(path, name, "the legacy signerName is not allowed via this API version")]
    domain, slash, rest = name.partition("/")
    if not slash or not rest or "/" in rest:
        return [
            invalid(
                path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"
            )
        ]
    problems = [*names.dns_subdomain(domain), *names.dns_subdomain(rest.replace(":", "-"))]
    errors = [invalid(path, name, problem) for problem in problems]
    if "." not in domain:
        errors.append(invalid(path, name, "should be a domain with at least two segments separated by dots"))
    return errors


def request_update(obj: Obj, old: Obj) -> list[FieldError]:
    conditions, before = _conditions(obj), _conditions(old)
    errors = []
    types = [one.get("type") for one in conditions]
    for index, one in enumerate(conditions):
        path = f"status.conditions[{index}]"
        if not one.get("type"):
            errors.append(required(f"{path}.type"))
        if one.get("type") in _FINAL and one.get("status") != "True":
            errors.append(not_supported(f"{path}.status", one.get("status", ""), ["True"]))
        if one.get("type") in types[:index]:
            errors.append(duplicate(f"{path}.type", one.get("type")))
    if {"Approved", "Denied"} <= set(types):
        why = "Approved and Denied conditions are mutually exclusive"
        errors.append(invalid("status.conditions", "Denied", why))
    errors += [
        forbidden("status.conditions", f'updates may not remove a condition of type "{one["type"]}"')
        for one in before
        if one.get("type") in _FINAL and one["type"] not in types
    ]
    issued = (old.get("status") or {}).get("certificate")
    certificate = (obj.get("status") or {}).get("certificate")
    if issued and certificate != issued:
        errors.append(forbidden("status.certificate", "updates may not modify certificate content"))
    return errors


def _conditions(obj: Obj) -> list[dict[str, Any]]:
    return list((obj.get("status") or {}).get("conditions") or ())
