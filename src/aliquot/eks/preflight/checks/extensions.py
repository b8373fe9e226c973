"""What extends the API server and does not answer: aggregated APIs, conversions of CRDs; and objects stored as nobody serves them."""

from collections.abc import Iterator

from aliquot.eks.estate.objects import Crd, Objects
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.services import Services

CHECK = "extensions"


def judge(objects: Objects) -> Iterator[Finding | Unchecked]:
    services = Services(objects)
    for one in objects.of("APIService"):
        yield from _api_service(one["metadata"]["name"], one.get("status") or {})
    if not services.are_known and any(_webhook(crd) is not None for crd in objects.crds):
        yield Unchecked(
            what="who stands behind conversions of CRDs", why="services and their endpoints were not read"
        )
    for crd in objects.crds:
        yield from _crd(crd, services)


def _api_service(name: str, status: dict[str, object]) -> Iterator[Finding]:
    conditions = status.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if condition.get("type") == "Available" and condition.get("status") == "False":
            yield _finding(
                f"APIService {name}",
                Severity.WARN,
                f"it is not available ({condition.get('reason', '?')}): discovery fails in part, and namespaces cannot be deleted",
                "bring what serves it up, or delete it if nothing does",
            )


def _webhook(crd: Crd) -> dict[str, object] | None:
    if crd.spec.conversion.get("strategy") != "Webhook":
        return None
    config = (crd.spec.conversion.get("webhook") or {}).get("clientConfig")
    return config if isinstance(config, dict) else {}


def _crd(crd: Crd, services: Services) -> Iterator[Finding]:
    named = f"CustomResourceDefinition {crd.metadata.name}"
    config = _webhook(crd)
    missing = services.missing(config) if config is not None else ""
    if missing:
        yield _finding(
            named,
            Severity.BLOCK,
            f"its versions are converted by service {missing}: its objects can be neither read nor written, and controllers of them stand",
            "bring its pods up",
        )
    served = {version.name for version in crd.spec.versions if version.served}
    known = {version.name for version in crd.spec.versions}
    lost = [one for one in crd.status.stored_versions if one not in known]
    unserved = [one for one in crd.status.stored_versions if one in known and one not in served]
    if lost:
        yield _finding(
            named,
            Severity.BLOCK,
            f"objects are stored as {', '.join(lost)}, which it does not have any more: they cannot be read",
            "bring that version back, write all objects anew, then take it out of status.storedVersions",
        )
    elif unserved:
        yield _finding(
            named,
            Severity.WARN,
            f"objects may be stored as {', '.join(unserved)}, which is not served any more",
            "write all objects anew (kube-storage-version-migrator), then take it out of status.storedVersions",
        )


def _finding(what: str, severity: Severity, why: str, fix: str) -> Finding:
    return Finding(check=CHECK, severity=severity, what=what, why=why, fix=fix)
