import ssl
from pathlib import Path

import pytest
from cryptography import x509

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority, CertificateError

_YEAR_S = 365 * 86400


class Later:
    def __init__(self, by_s: float) -> None:
        self._by_s = by_s

    def now(self) -> float:
        return SystemClock().now() + self._by_s


def test_the_authority_outlives_a_restart(tmp_path: Path) -> None:
    first = Authority(tmp_path / "pki", clock=SystemClock())
    again = Authority(tmp_path / "pki", clock=SystemClock())
    assert again.certificate == first.certificate
    assert again.token_key.private_numbers() == first.token_key.private_numbers()
    assert again.server_files[0].read_bytes() == first.server_files[0].read_bytes()


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    Authority(tmp_path / "pki", clock=SystemClock())
    assert (tmp_path / "pki").stat().st_mode & 0o077 == 0
    files = sorted(path.name for path in (tmp_path / "pki").iterdir())
    assert files == ["ca.crt", "ca.key", "server.crt", "server.key", "serviceaccount.key"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "pki").iterdir())


def test_a_server_certificate_near_its_end_is_renewed(tmp_path: Path) -> None:
    first = Authority(tmp_path, clock=SystemClock()).server_files[0].read_bytes()
    assert Authority(tmp_path, clock=Later(_YEAR_S - 40 * 86400)).server_files[0].read_bytes() == first
    assert Authority(tmp_path, clock=Later(_YEAR_S - 20 * 86400)).server_files[0].read_bytes() != first


def test_a_client_certificate_names_user_and_groups(tmp_path: Path) -> None:
    authority = Authority(tmp_path, clock=SystemClock())
    pair = authority.client("ada", ["system:masters", "dev"])
    subject = x509.load_pem_x509_certificate(pair.certificate).subject
    assert subject.rfc4514_string() == "CN=ada,O=dev,O=system:masters"


def test_tls_takes_the_server_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, clock=SystemClock())
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.server_files)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = context.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client_side.getpeercert()


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    Authority(tmp_path, clock=SystemClock())
    (tmp_path / "ca.key").write_bytes(b"nonsense")
    with pytest.raises(CertificateError, match=r"ca\.key: damaged"):
        Authority(tmp_path, clock=SystemClock())
    assert (tmp_path / "ca.key").read_bytes() == b"nonsense"
