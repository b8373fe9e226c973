"""Identity and rights with kubectl, on any cluster that an administrator's kubeconfig is given of."""

import json
from base64 import b64decode

import pytest
from cryptography import x509

from tests.e2e.commands import Kubectl, eventually
from tests.emulator.certificate_requests.asking import pem, request

pytestmark = pytest.mark.e2e


def test_can_i_and_as_whom(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "list", "pods") == "yes\n"
    assert kubectl.run("auth", "can-i", "list", "pods", "--as=eve").out == "no\n"
    assert kubectl("auth", "can-i", "list", "pods", "--as=eve", "--as-group=system:masters") == "yes\n"
    kubectl("create", "role", "reader", "--verb=list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=eve")
    assert kubectl("auth", "can-i", "list", "pods", "--as=eve") == "yes\n"
    listed = kubectl("auth", "can-i", "--list", "--as=eve")
    assert any(line.split() == ["pods", "[]", "[]", "[list]"] for line in listed.splitlines())
    told = json.loads(kubectl("auth", "whoami", "-o", "json", "--as=eve", "--as-group=dev"))
    assert told["status"]["userInfo"]["username"] == "eve"
    assert "dev" in told["status"]["userInfo"]["groups"]


def test_a_token_is_bound_and_has_a_floor(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "secret", "generic", "grant")
    bound = ("--bound-object-kind=Secret", "--bound-object-name=grant")
    token = kubectl("create", "token", "robot", "--duration=10m", *bound).strip()
    claims = json.loads(b64decode(token.split(".")[1] + "=="))
    assert claims["kubernetes.io"]["secret"]["name"] == "grant"
    assert claims["exp"] - claims["iat"] == 600
    assert (
        "may not specify a duration less than 10 minutes"
        in kubectl.run("create", "token", "robot", "--duration=5m").err
    )


def test_a_certificate_is_asked_for_approved_and_issued(kubectl: Kubectl) -> None:
    name = f"ada-of-{kubectl.namespace}"
    asked = request(pem("ada", "dev"), name=name, expirationSeconds=3600)
    try:
        kubectl("apply", "-f", "-", stdin=json.dumps(asked))
        assert kubectl("get", "csr", name).splitlines()[1].split()[-2:] == ["60m", "Pending"]
        assert kubectl("certificate", "approve", name).endswith(f"{name} approved\n")
        kubectl("wait", f"csr/{name}", "--for=condition=Approved", "--timeout=20s")
        issued = eventually(lambda: kubectl("get", "csr", name, "-o", "jsonpath={.status.certificate}"))
        certificate = x509.load_pem_x509_certificate(b64decode(issued))
        assert certificate.subject.rfc4514_string() == "CN=ada,O=dev"
        assert kubectl("get", "csr", name).splitlines()[1].split()[-1] == "Approved,Issued"
    finally:
        kubectl("delete", "csr", name)
