"""Where the API server is and who we are: kubeconfig files as kubectl reads them, or the pod's service account.

Files are read once, here; certificates and tokens named in them are checked at the same time, so that a wrong path
is one clear line now and not a failed handshake later. A token file is read again as it is rotated.
"""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml
from msgspec import Struct

if TYPE_CHECKING:
    from aliquot.kube.http_transport import HttpTransport

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


_ANOTHER = "give another kubeconfig with --kubeconfig or $KUBECONFIG"


class KubeconfigError(Exception):
    """One line: what is wrong, where, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Connection:
    """All that a transport needs. Certificates and keys are PEM; secrets stay out of `repr`."""

    server: str
    namespace: str = "default"
    ca: bytes | None = None
    """None: the system's certificate authorities."""
    verify: bool = True
    server_name: str = ""
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    proxy: str = ""
    source: str = ""
    """Where it was read, for messages."""

    def transport(self, token: Callable[[], str] | None = None) -> "HttpTransport":
        """`token`: asked before each request, instead of what is here. Raises KubeconfigError when the certificates are not usable."""
        from aliquot.kube.http_transport import HttpTransport

        if token is not None:
            pass
        elif self.token_file is not None:
            token = _TokenFile(self.token_file)
        elif self.token:
            token = self._fixed_token
        tls = self.tls() if self.server.startswith("https:") else None
        return HttpTransport(
            self.server, tls=tls, token=token, server_name=self.server_name, proxy=self.proxy
        )

    def _fixed_token(self) -> str:
        return self.token

    def tls(self) -> ssl.SSLContext:
        """Raises KubeconfigError when the certificates are not usable."""
        try:
            context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        except (ssl.SSLError, ValueError) as error:
            raise KubeconfigError(
                f"{self.source}: the cluster's certificate authority is no PEM certificate"
            ) from error
        # Clusters issue their own authorities, many without the extensions that strict checking asks for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate is not None and self.client_key is not None:
            # The ssl module loads them from files only.
            with tempfile.TemporaryDirectory() as folder:
                certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
                key.touch(mode=0o600)
                certificate.write_bytes(self.client_certificate)
                key.write_bytes(self.client_key)
                try:
                    context.load_cert_chain(certificate, key)
                except ssl.SSLError as error:
                    raise KubeconfigError(
                        f"{self.source}: client certificate and key are not a pair of PEM files ({error.reason})"
                    ) from error
        return context


class _TokenFile:
    """A token that something else renews: read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._token = ""

    def __call__(self) -> str:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            if stamp != self._stamp:
                self._token = self._path.read_text().strip()
                self._stamp = stamp
        except OSError:
            # While it is being replaced the last one still serves.
            if not self._token:
                raise
        return self._token


class _Cluster(Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""


class _User(Struct, rename="kebab"):
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = msgspec.field(name="tokenFile", default="")
    username: str = ""
    exec: dict[str, Any] | None = None
    auth_provider: dict[str, Any] | None = None


class _Context(Struct, rename="kebab"):
    cluster: str
    user: str = ""
    namespace: str = ""


class _NamedCluster(Struct):
    name: str
    cluster: _Cluster


class _NamedUser(Struct):
    name: str
    user: _User | None = None


class _NamedContext(Struct):
    name: str
    context: _Context


class _Config(Struct, rename="kebab"):
    current_context: str | None = None
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A named entry, and the file that relative paths in it start from."""

    value: Any
    file: Path


def load(
    path: str | Path | None = None,
    context: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """`path`, else the files of $KUBECONFIG (the first to name a thing wins), else ~/.kube/config, else the pod's
    service account. `context` None: the file's current one. Raises KubeconfigError."""
    files = _files(path, environment)
    if not files:
        return _in_cluster(environment, service_account)
    clusters: dict[str, _Found] = {}
    users: dict[str, _Found] = {}
    contexts: dict[str, _Found] = {}
    current = context
    for file in files:
        config = _read(file)
        current = current or config.current_context
        for entry in config.clusters or ():
            clusters.setdefault(entry.name, _Found(entry.cluster, file))
        for user in config.users or ():
            users.setdefault(user.name, _Found(user.user or _User(), file))
        for named in config.contexts or ():
            contexts.setdefault(named.name, _Found(named.context, file))
    source = ", ".join(str(file) for file in files)
    if not contexts:
        raise KubeconfigError(f"{source}: no contexts in it; {_ANOTHER}")
    if not current:
        raise KubeconfigError(f"{source}: no current-context; choose one of: {_names(contexts)}")
    chosen = _pick(contexts, "context", current, source).value
    cluster = _pick(clusters, "cluster", chosen.cluster, source)
    user_entry = _pick(users, "user", chosen.user, source) if chosen.user else _Found(_User(), files[0])
    return _connection(chosen, cluster, user_entry, source)


def _files(path: str | Path | None, environment: Mapping[str, str]) -> list[Path]:
    if path is not None:
        file = Path(path).expanduser()
        if not file.exists():
            raise KubeconfigError(f"{file}: no such kubeconfig; {_ANOTHER}")
        return [file]
    if listed := environment.get("KUBECONFIG", ""):
        files = [Path(part).expanduser() for part in listed.split(os.pathsep) if part]
        present = [file for file in files if file.exists()]
        if not present:
            raise KubeconfigError(f"$KUBECONFIG names no file that exists: {listed}")
        return present
    home = Path(environment.get("HOME", "/"), ".kube", "config")
    return [home] if home.is_file() else []


def _read(file: Path) -> _Config:
    try:
        document = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return msgspec.convert(document or {}, _Config)
    except OSError as error:
        raise KubeconfigError(f"{file}: {error.strerror}; {_ANOTHER}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise KubeconfigError(f"{file}:{line}: not YAML: {error.problem}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{file}: not YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise KubeconfigError(f"{file}: not a kubeconfig: {error}") from error


def _in_cluster(environment: Mapping[str, str], service_account: Path) -> Connection:
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    token = service_account / "token"
    if not host or not token.is_file():
        raise KubeconfigError(
            "no cluster: no --kubeconfig, no $KUBECONFIG, no ~/.kube/config, and not in a pod; `aliquot up` makes one"
        )
    authority, namespace = service_account / "ca.crt", service_account / "namespace"
    return Connection(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        ca=authority.read_bytes() if authority.is_file() else None,
        token_file=token,
        source=str(service_account),
    )


def _connection(context: _Context, cluster_found: _Found, user_found: _Found, source: str) -> Connection:
    cluster: _Cluster = cluster_found.value
    user: _User = user_found.value
    if not cluster.server.startswith(("https://", "http://")):
        raise KubeconfigError(
            f"{source}: cluster {context.cluster!r}: server {cluster.server!r} is no http(s) address"
        )
    if user.exec is not None:
        raise KubeconfigError(
            f"{source}: user {context.user!r} logs in by running {user.exec.get('command', 'a program')!r}, which is "
            "not supported; use a token (`kubectl create token NAME`) or a client certificate"
        )
    if user.auth_provider is not None or user.username:
        raise KubeconfigError(
            f"{source}: user {context.user!r} logs in by a method that Kubernetes has dropped; use a token or a "
            "client certificate"
        )
    certificate = _pem(
        user.client_certificate_data, user.client_certificate, user_found.file, "client-certificate"
    )
    key = _pem(user.client_key_data, user.client_key, user_found.file, "client-key")
    if (certificate is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise KubeconfigError(
            f"{source}: user {context.user!r} has no {missing}; certificate and key go together"
        )
    token_file = _beside(user_found.file, user.token_file) if user.token_file else None
    if token_file is not None and not token_file.is_file():
        raise KubeconfigError(f"{source}: user {context.user!r}: tokenFile {token_file} does not exist")
    authority = _pem(
        cluster.certificate_authority_data,
        cluster.certificate_authority,
        cluster_found.file,
        "certificate-authority",
    )
    return Connection(
        server=cluster.server,
        namespace=context.namespace or "default",
        ca=authority,
        verify=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        client_certificate=certificate,
        client_key=key,
        token=user.token,
        token_file=token_file,
        proxy=cluster.proxy_url,
        source=source,
    )


def _pem(data: str, path: str, beside: Path, name: str) -> bytes | None:
    """Inline data wins over a path, as in kubectl."""
    if data:
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"{beside}: {name}-data is not base64") from error
    if not path:
        return None
    file = _beside(beside, path)
    try:
        return file.read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{beside}: {name} {file}: {error.strerror}") from error


def _beside(file: Path, path: str) -> Path:
    return file.parent / Path(path).expanduser()


def _pick(named: Mapping[str, _Found], what: str, name: str, source: str) -> _Found:
    if name not in named:
        raise KubeconfigError(f"{source}: no {what} {name!r}; there is: {_names(named)}")
    return named[name]


def _names(named: Mapping[str, _Found]) -> str:
    return ", ".join(named) or "none"
