"""Certificates by which the API server knows whom it calls: webhooks, aggregated APIs, conversions of CRDs.

What they show when they are called nobody can see from here, save that the server counts those signed with SHA-1. What they are judged
by (`caBundle`) is written down: an authority that is over fits no certificate any more.
"""

import base64
import binascii
from collections.abc import Iterator
from datetime import date

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA1
from msgspec import Struct

from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks.webhooks import KINDS
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.sightings.requests import SHA1_COUNTERS
from aliquot.eks.versions.minor import Minor

CHECK = "certificates"
_SINCE = Minor(1, 31)
_SOON_DAYS = 30


class _Trusted(Struct, frozen=True, kw_only=True):
    what: str
    bundle: object
    stops: bool
    """Whatever is asked stands still if the call fails."""


def judge(objects: Objects, now: Minor, to: Minor, today: date) -> Iterator[Finding]:
    counted = {name: count for name in SHA1_COUNTERS if (count := objects.counters.get(name, 0.0))}
    if counted and to >= _SINCE:
        yield _finding(
            "the API server",
            Severity.BLOCK,
            f"it was shown {int(sum(counted.values()))} certificates signed with SHA-1 ({', '.join(counted)}): from {_SINCE} on it refuses them",
            "have whoever serves webhooks and APIServices take certificates signed with SHA-256",
            _SINCE if now < _SINCE else None,
        )
    for one in _all(objects):
        if one.bundle:
            yield from _bundle(one, now, to, today)


def _all(objects: Objects) -> Iterator[_Trusted]:
    for kind in KINDS:
        for configuration in objects.of(kind):
            for webhook in configuration.get("webhooks") or ():
                yield _Trusted(
                    what=f"{kind} {configuration['metadata']['name']}, webhook {webhook.get('name', '?')}",
                    bundle=(webhook.get("clientConfig") or {}).get("caBundle"),
                    stops=webhook.get("failurePolicy", "Fail") == "Fail",
                )
    for one in objects.of("APIService"):
        spec = one.get("spec") or {}
        if not spec.get("insecureSkipTLSVerify"):
            yield _Trusted(
                what=f"APIService {one['metadata']['name']}", bundle=spec.get("caBundle"), stops=False
            )
    for crd in objects.crds:
        webhook = crd.spec.conversion.get("webhook") or {}
        yield _Trusted(
            what=f"CustomResourceDefinition {crd.metadata.name}",
            bundle=(webhook.get("clientConfig") or {}).get("caBundle"),
            stops=True,
        )


def _bundle(one: _Trusted, now: Minor, to: Minor, today: date) -> Iterator[Finding]:
    worst = Severity.BLOCK if one.stops else Severity.WARN
    try:
        pem = base64.b64decode(str(one.bundle), validate=True)
        authorities = x509.load_pem_x509_certificates(pem)
        ends = max(authority.not_valid_after_utc.date() for authority in authorities)
        old = [authority for authority in authorities if isinstance(authority.signature_hash_algorithm, SHA1)]
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        words = " ".join(str(error).split())
        yield _finding(one.what, worst, f"its caBundle cannot be read: {words}", "write it anew", None)
        return
    if ends <= today:
        yield _finding(
            one.what,
            worst,
            f"every authority in its caBundle is over, the last since {ends}: calls fail, or do when the control plane is new",
            "have a certificate made, and its authority put into caBundle",
            None,
        )
    elif (ends - today).days <= _SOON_DAYS:
        yield _finding(
            one.what,
            Severity.WARN,
            f"the last authority in its caBundle is over on {ends}",
            "have it renewed before the upgrade, not in the middle",
            None,
        )
    if len(old) == len(authorities) and to >= _SINCE:
        yield _finding(
            one.what,
            Severity.WARN,
            f"its authority is signed with SHA-1, and so may be what it signs, which the API server refuses from {_SINCE} on",
            "have it made anew with SHA-256",
            _SINCE if now < _SINCE else None,
        )


def _finding(what: str, severity: Severity, why: str, fix: str, minor: Minor | None) -> Finding:
    return Finding(check=CHECK, severity=severity, what=what, why=why, fix=fix, minor=minor)
