"""Who may approve, who may sign, and whom no request may make: Kubernetes' three admission plugins for requests."""

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.certificate_requests import signers
from aliquot.emulator.certificate_requests.strategy import request_of
from aliquot.emulator.objects import Json
from aliquot.emulator.rbac import Attributes, Authorizer, User
from aliquot.emulator.statuses import forbidden

REQUESTS = "certificatesigningrequests.certificates.k8s.io"


def requester(asked: Admitted, obj: Json) -> Json:
    """A mutation: a request says who made it, whatever it said itself."""
    if asked.served.storage != REQUESTS or asked.operation is not Operation.CREATE:
        return obj
    user = asked.user
    claimed = ("username", "uid", "groups", "extra")
    spec = {key: value for key, value in (obj.get("spec") or {}).items() if key not in claimed}
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {**obj, "spec": spec}


class SignerRights:
    """A gate."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def __call__(self, asked: Admitted, obj: Json | None) -> None:
        """Raises StatusError 403."""
        if asked.served.storage != REQUESTS or obj is None:
            return
        old = asked.old or {}
        match asked.operation, asked.subresource:
            case Operation.CREATE, _:
                _check_subject(asked, obj)
            case Operation.UPDATE, "approval":
                self._check(asked, "approve", old)
            case Operation.UPDATE, "status" if obj.get("status") != old.get("status"):
                self._check(asked, "sign", old)

    def _check(self, asked: Admitted, verb: str, old: Json) -> None:
        signer = str(old["spec"]["signerName"])
        if not self._may(asked.user, verb, signer):
            why = f'user not permitted to {verb} requests with signerName "{signer}"'
            raise forbidden(asked.served.resource, asked.name, why)

    def _may(self, user: User, verb: str, signer: str) -> bool:
        """On that signer, or on all of its domain."""
        names = (signer, f"{signer.partition('/')[0]}/*")
        return any(
            self._authorizer.authorize(
                user,
                Attributes(
                    verb=verb, group="certificates.k8s.io", version="*", resource="signers", name=name
                ),
            ).allowed
            for name in names
        )


def _check_subject(asked: Admitted, obj: Json) -> None:
    if (obj.get("spec") or {}).get("signerName") != signers.CLIENT:
        return
    try:
        request = signers.parse(request_of(obj))
    except (signers.RequestInvalid, ValueError):
        return  # the schema's rules say so better
    if "system:masters" in signers.organizations(request):
        why = f"use of {signers.CLIENT} signer with system:masters group is not allowed"
        raise forbidden(asked.served.resource, asked.name, why)
