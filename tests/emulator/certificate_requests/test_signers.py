import ipaddress

import pytest
from cryptography import x509

from aliquot.emulator.certificate_requests import signers
from tests.emulator.certificate_requests.asking import pem

DNS, IP = x509.DNSName("n1"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))
EMAIL, URI = x509.RFC822Name("a@b.example"), x509.UniformResourceIdentifier("spiffe://a")
NODE = ("system:node:n1", "system:nodes")
CLIENT = ("digital signature", "key encipherment", "client auth")
SERVER = ("digital signature", "key encipherment", "server auth")


@pytest.mark.parametrize(
    ("signer", "subject", "names", "usages", "wrong"),
    [
        (signers.CLIENT, ("ada", "dev"), (), CLIENT, ""),
        (signers.CLIENT, ("ada",), (), ("client auth",), ""),
        (
            signers.CLIENT,
            ("ada",),
            (),
            ("digital signature",),
            "missing required usage for client certificate: client auth",
        ),
        (signers.CLIENT, ("ada",), (), SERVER, "invalid usage for client certificate: server auth"),
        (signers.KUBELET_CLIENT, NODE, (), CLIENT, ""),
        (signers.KUBELET_CLIENT, NODE, (), ("digital signature", "client auth"), ""),
        (
            signers.KUBELET_CLIENT,
            NODE,
            (),
            ("client auth",),
            "usages did not match [client auth digital signature key encipherment]",
        ),
        (signers.KUBELET_CLIENT, ("system:node:n1",), (), CLIENT, "subject organization is not system:nodes"),
        (signers.KUBELET_CLIENT, (*NODE, "dev"), (), CLIENT, "subject organization is not system:nodes"),
        (
            signers.KUBELET_CLIENT,
            ("n1", "system:nodes"),
            (),
            CLIENT,
            "subject common name does not begin with system:node:",
        ),
        (signers.KUBELET_CLIENT, NODE, (DNS,), CLIENT, "DNS subjectAltNames are not allowed"),
        (signers.KUBELET_CLIENT, NODE, (IP,), CLIENT, "IP subjectAltNames are not allowed"),
        (signers.KUBELET_CLIENT, NODE, (EMAIL,), CLIENT, "Email subjectAltNames are not allowed"),
        (signers.KUBELET_CLIENT, NODE, (URI,), CLIENT, "URI subjectAltNames are not allowed"),
        (signers.KUBELET_SERVING, NODE, (DNS, IP), SERVER, ""),
        (signers.KUBELET_SERVING, NODE, (), SERVER, "DNS or IP subjectAltName is required"),
        (signers.KUBELET_SERVING, NODE, (DNS, EMAIL), SERVER, "Email subjectAltNames are not allowed"),
        (signers.KUBELET_SERVING, NODE, (DNS, URI), SERVER, "URI subjectAltNames are not allowed"),
        (
            signers.KUBELET_SERVING,
            NODE,
            (DNS,),
            CLIENT,
            "usages did not match [digital signature key encipherment server auth]",
        ),
        (
            signers.KUBELET_SERVING,
            ("n1", "system:nodes"),
            (DNS,),
            SERVER,
            "subject common name does not begin with system:node:",
        ),
        (signers.LEGACY_UNKNOWN, ("anybody", "system:masters"), (URI,), ("code signing",), ""),
    ],
)
def test_what_each_signer_signs(
    signer: str,
    subject: tuple[str, ...],
    names: tuple[x509.GeneralName, ...],
    usages: tuple[str, ...],
    wrong: str,
) -> None:
    assert signers.problem(signer, signers.parse(pem(*subject, names=names)), usages) == wrong


@pytest.mark.parametrize(
    ("asked_s", "lasts_s"), [(None, 31_536_000), (600, 600), (10, 600), (3600, 3600), (1 << 30, 31_536_000)]
)
def test_how_long_it_lasts(asked_s: int | None, lasts_s: int) -> None:
    assert signers.lasts_s(asked_s) == lasts_s


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        pem("ada").replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"),
    ],
)
def test_what_is_no_request(text: bytes) -> None:
    with pytest.raises(signers.RequestInvalid):
        signers.parse(text)
