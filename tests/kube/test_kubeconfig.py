"""kubeconfig files, good and bad. Every complaint is one line that says what to do."""

import base64
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aliquot.kube.kubeconfig import Connection, KubeconfigError, load

Write = Callable[..., Path]


def config(*, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "clusters": [{"name": "c", "cluster": {"server": "https://host:6443"} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "main", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "bare", "context": {"cluster": "c"}},
        ],
        "preferences": {},
    }


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(document: Any, name: str = "config") -> Path:
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
        return path

    return write


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "me")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=9999))
    )
    certificate = builder.sign(key, hashes.SHA256())
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def test_the_current_context_is_used(write: Write) -> None:
    found = load(write(config(user={"token": "secret"})))
    assert (found.server, found.namespace, found.token) == ("https://host:6443", "team", "secret")
    assert "secret" not in repr(found)


def test_another_context_can_be_asked_for(write: Write) -> None:
    found = load(write(config(user={"token": "secret"})), "bare")
    assert (found.namespace, found.token) == ("default", "")


def test_certificates_inline_and_in_files_are_the_same(
    write: Write, tmp_path: Path, pair: tuple[bytes, bytes]
) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/me.crt").write_bytes(pair[0])
    (tmp_path / "pki/me.key").write_bytes(pair[1])
    files = config(
        cluster={"certificate-authority": "pki/me.crt"},
        user={"client-certificate": "pki/me.crt", "client-key": str(tmp_path / "pki/me.key")},
    )
    crt, key = (base64.b64encode(part).decode() for part in pair)
    inline = config(
        cluster={"certificate-authority-data": crt},
        user={"client-certificate-data": crt, "client-key-data": key},
    )
    for document in (files, inline):
        found = load(write(document))
        assert (found.ca, found.client_certificate, found.client_key) == (pair[0], *pair)
        context = found.tls()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.cert_store_stats()["x509"] == 1


def test_verification_can_be_given_up_and_the_name_set(write: Write) -> None:
    found = load(write(config(cluster={"insecure-skip-tls-verify": True, "tls-server-name": "kubernetes"})))
    assert found.tls().verify_mode is ssl.CERT_NONE
    assert found.server_name == "kubernetes"


def test_several_files_are_merged_and_the_first_wins(write: Write, tmp_path: Path) -> None:
    first = config(user={"token": "first"})
    del first["contexts"]
    second = config(user={"token": "second"})
    second["current-context"] = "bare"
    paths = [write(first, "first"), write(second, "second"), tmp_path / "missing"]
    found = load(environment={"KUBECONFIG": ":".join(str(path) for path in paths)})
    assert (found.token, found.namespace) == ("first", "team")


def test_home_is_looked_in(tmp_path: Path, write: Write) -> None:
    (tmp_path / ".kube").mkdir()
    write(config(user={"token": "t"}), ".kube/config")
    assert load(environment={"HOME": str(tmp_path)}).token == "t"


def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("aliquot-system\n")
    (tmp_path / "ca.crt").write_text("pem")
    environment = {
        "KUBERNETES_SERVICE_HOST": "fd00::1",
        "KUBERNETES_SERVICE_PORT": "6443",
        "HOME": "/nowhere",
    }
    found = load(environment=environment, service_account=tmp_path)
    assert found == Connection(
        server="https://[fd00::1]:6443",
        namespace="aliquot-system",
        ca=b"pem",
        token_file=tmp_path / "token",
        source=str(tmp_path),
    )


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("clusters: [", r"config:2: not YAML: .*"),
        ("- 1", "not a kubeconfig: Expected `object`, got `array`"),
        (config() | {"current-context": "gone"}, "no context 'gone'; there is: main, bare"),
        (config() | {"current-context": ""}, "no current-context; choose one of: main, bare"),
        ({}, "config: no contexts in it; give another kubeconfig with --kubeconfig or"),
        (config() | {"clusters": []}, "no cluster 'c'; there is: none"),
        (config() | {"users": []}, "no user 'u'; there is: none"),
        (config(cluster={"server": "host"}), "cluster 'c': server 'host' is no http"),
        (
            config(user={"token": 5}),
            r"not a kubeconfig: Expected `str`, got `int` - at `\$.users\[0\].user.token`",
        ),
        (
            config(user={"exec": {"command": "aws"}}),
            "user 'u' logs in by running 'aws', which is not supported; use a token",
        ),
        (config(user={"auth-provider": {}}), "a method that Kubernetes has dropped"),
        (config(user={"username": "x"}), "a method that Kubernetes has dropped"),
        (config(user={"client-certificate-data": "AA=="}), "user 'u' has no client-key"),
        (config(user={"client-key-data": "AA=="}), "user 'u' has no client-certificate"),
        (config(user={"client-certificate-data": "not base64!"}), "client-certificate-data is not base64"),
        (config(user={"client-certificate": "gone.crt", "client-key": "x"}), "gone.crt: No such file"),
        (config(user={"tokenFile": "gone"}), "tokenFile .*gone does not exist"),
        (config(cluster={"certificate-authority": "gone.crt"}), "gone.crt: No such file"),
    ],
)
def test_bad_files_are_one_clear_line(write: Write, document: Any, complaint: str) -> None:
    path = write(document)
    with pytest.raises(KubeconfigError, match=complaint) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"path": "/nowhere/config"}, "/nowhere/config: no such kubeconfig"),
        ({"environment": {"KUBECONFIG": "/nowhere/a:/nowhere/b"}}, "names no file that exists"),
        ({"environment": {"HOME": "/nowhere"}}, "no cluster: .* `aliquot up` makes one"),
    ],
)
def test_no_file_is_one_clear_line(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(KubeconfigError, match=complaint):
        load(**options)


@pytest.mark.parametrize(
    "user",
    [{"client_certificate": b"junk", "client_key": b"junk"}, {"ca": b"junk"}],
    ids=["pair", "authority"],
)
def test_certificates_that_are_none_are_one_clear_line(user: dict[str, bytes]) -> None:
    with pytest.raises(KubeconfigError, match="PEM"):
        Connection(server="https://x", source="config", **user).transport()  # type: ignore[arg-type]
