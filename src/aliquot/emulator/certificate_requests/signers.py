"""Kubernetes' four signers: what each asks of a request before it signs, and for how long it signs.

The texts are the real signers': they go into the condition Failed.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import NameOID

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"

LONGEST_S = 365 * 24 * 3600
SHORTEST_S = 600

_NODE = "system:node:"
_CLIENT_USAGES = (
    frozenset(["digital signature", "key encipherment", "client auth"]),
    frozenset(["digital signature", "client auth"]),
)
_SERVING_USAGES = (
    frozenset(["digital signature", "key encipherment", "server auth"]),
    frozenset(["digital signature", "server auth"]),
)


class RequestInvalid(Exception):
    """No PKCS#10 request in PEM; the text says why."""


def parse(pem: bytes) -> x509.CertificateSigningRequest:
    """Signature checked. Raises RequestInvalid."""
    if b"-----BEGIN CERTIFICATE REQUEST-----" not in pem:
        raise RequestInvalid("PEM block type must be CERTIFICATE REQUEST")
    try:
        request = x509.load_pem_x509_csr(pem)
        valid = request.is_signature_valid
    except ValueError as error:
        raise RequestInvalid(str(error)) from error
    if not valid:
        raise RequestInvalid("the request is not signed by the key it is for")
    return request


def problem(signer: str, request: x509.CertificateSigningRequest, usages: Sequence[str]) -> str:
    """Why that signer never signs it; empty when it does."""
    return _RULES[signer](request, frozenset(usages))


def is_kubelet_client(request: x509.CertificateSigningRequest, usages: Sequence[str]) -> bool:
    return not _kubelet_client(request, frozenset(usages))


def lasts_s(asked_s: int | None) -> int:
    """How long a signer makes it last that was asked for `asked_s`."""
    return LONGEST_S if asked_s is None else min(max(asked_s, SHORTEST_S), LONGEST_S)


def common_name(request: x509.CertificateSigningRequest) -> str:
    names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else ""


def organizations(request: x509.CertificateSigningRequest) -> list[str]:
    return [str(one.value) for one in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def _client(request: x509.CertificateSigningRequest, usages: frozenset[str]) -> str:
    for usage in sorted(usages - {"digital signature", "key encipherment", "client auth"}):
        return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def _kubelet_client(request: x509.CertificateSigningRequest, usages: frozenset[str]) -> str:
    if organizations(request) != ["system:nodes"]:
        return "subject organization is not system:nodes"
    for kind, (name, _) in _ALTERNATIVES.items():
        if _alternatives(request, kind):
            return f"{name} subjectAltNames are not allowed"
    if not common_name(request).startswith(_NODE):
        return f"subject common name does not begin with {_NODE}"
    return _usages(usages, _CLIENT_USAGES)


def _kubelet_serving(request: x509.CertificateSigningRequest, usages: frozenset[str]) -> str:
    if organizations(request) != ["system:nodes"]:
        return "subject organization is not system:nodes"
    if not _alternatives(request, x509.DNSName) and not _alternatives(request, x509.IPAddress):
        return "DNS or IP subjectAltName is required"
    for kind, (name, serves) in _ALTERNATIVES.items():
        if not serves and _alternatives(request, kind):
            return f"{name} subjectAltNames are not allowed"
    wrong = _usages(usages, _SERVING_USAGES)
    if not wrong and not common_name(request).startswith(_NODE):
        return f"subject common name does not begin with {_NODE}"
    return wrong


_ALTERNATIVES: Mapping[type[x509.GeneralName], tuple[str, bool]] = MappingProxyType(
    {
        x509.DNSName: ("DNS", True),
        x509.RFC822Name: ("Email", False),
        x509.IPAddress: ("IP", True),
        x509.UniformResourceIdentifier: ("URI", False),
    }
)
"""Kinds of further names: how they are called, and whether a server may bear them."""


def _alternatives(request: x509.CertificateSigningRequest, kind: type[x509.GeneralName]) -> bool:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return any(isinstance(name, kind) for name in names)


def _usages(usages: frozenset[str], allowed: tuple[frozenset[str], ...]) -> str:
    if usages in allowed:
        return ""
    return f"usages did not match [{' '.join(sorted(allowed[0]))}]"


_RULES: Mapping[str, Callable[[x509.CertificateSigningRequest, frozenset[str]], str]] = MappingProxyType(
    {
        CLIENT: _client,
        KUBELET_CLIENT: _kubelet_client,
        KUBELET_SERVING: _kubelet_serving,
        LEGACY_UNKNOWN: lambda request, usages: "",
    }
)
SIGNERS = tuple(_RULES)
