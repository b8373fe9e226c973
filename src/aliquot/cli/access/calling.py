"""How the commands reach the server of break glass: one call, one answer, and what it refuses as one line."""

import base64
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import click

from aliquot.cli.parameters import GivenPath

_TIMEOUT_S = 30.0
_LONG_S = 600.0
"""For what takes the server a while before it says anything."""
_NEXT = re.compile(r'<(/v1/[^>]*)>; rel="next"')
_MOST_BYTES = 64 * 1024 * 1024
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Server:
    url: str
    token_file: Path
    authority: Path | None
    token_cluster: str = ""
    """Whose API server knows the token; empty: it says itself who issued it."""

    @property
    def options(self) -> list[str]:
        """With which another command calls the same server as the same person, wherever it runs."""
        found = ["--server", self.url, "--token-file", str(self.token_file.resolve())]
        if self.authority is not None:
            found += ["--ca-file", str(self.authority.resolve())]
        if self.token_cluster:
            found += ["--token-cluster", self.token_cluster]
        return found

    def get(self, path: str) -> Any:
        return self.call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def send(self, path: str, data: bytes) -> Any:
        """JSON as it is. Raises click.ClickException."""
        return self._sent("POST", path, data, self._known() | {"Content-Type": "application/json"})

    def call(self, method: str, path: str, body: Mapping[str, Any] | None, **headers: str) -> Any:
        """Raises click.ClickException."""
        sent = self._headers()
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask(method, path, body, sent)

    def sign_in(self, path: str, body: Mapping[str, Any]) -> Any:
        """Without a token: it is what is asked for. Raises click.ClickException."""
        return self._ask("POST", path, body, {"Accept": "application/json"})

    @contextmanager
    def lines(self, path: str, accept: str) -> Iterator[BinaryIO]:
        """An answer as it comes, however long it is. Raises click.ClickException."""
        sent = self._headers() | {"Accept": accept}
        with self._answer(urllib.request.Request(self.url + path, None, sent), timeout_s=_LONG_S) as answer:
            yield answer

    def page(self, path: str) -> tuple[str, str]:
        """A text as it is, and the path of what comes after it; empty: nothing does. Raises click.ClickException."""
        asked = urllib.request.Request(self.url + path, None, self._headers() | {"Accept": "*/*"})
        with self._answer(asked, timeout_s=_TIMEOUT_S) as answer:
            found = _NEXT.fullmatch(answer.headers.get("Link", ""))
            try:
                return answer.read(_MOST_BYTES).decode(), found[1] if found is not None else ""
            except UnicodeDecodeError:
                raise click.ClickException(
                    f"{self.url} does not answer as Aliquot does; check --server"
                ) from None

    def _headers(self) -> dict[str, str]:
        return self._known() | ({"Aliquot-Cluster": self.token_cluster} if self.token_cluster else {})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, sent: dict[str, str]) -> Any:
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        elif method == "POST":
            data = b""
        return self._sent(method, path, data, sent)

    def _sent(self, method: str, path: str, data: bytes | None, sent: Mapping[str, str]) -> Any:
        asked = urllib.request.Request(self.url + path, data, dict(sent), method=method)
        try:
            with self._answer(asked, timeout_s=_TIMEOUT_S) as answer:
                return json.loads(answer.read(_MOST_BYTES))
        except ValueError:
            raise click.ClickException(
                f"{self.url} does not answer as Aliquot does; check --server"
            ) from None

    @contextmanager
    def _answer(self, asked: urllib.request.Request, *, timeout_s: float) -> Iterator[HTTPResponse]:
        try:
            with self._opener().open(asked, timeout=timeout_s) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise click.ClickException(_problem(error)) from None
        except ssl.SSLError as error:
            raise click.ClickException(
                f"{self.url}: {error.reason}; give its authority with --ca-file"
            ) from None
        except OSError as error:
            why = getattr(error, "reason", None) or error
            raise click.ClickException(f"{self.url} does not answer: {why}") from None

    def _known(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}

    def _token(self) -> str:
        try:
            token = self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise click.ClickException(
                f"{self.token_file}: {why}; give your token with --token-file"
            ) from None
        if not token or not token.isascii() or not token.isprintable():
            raise click.ClickException(f"{self.token_file}: there is no token in it")
        return token

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=str(self.authority) if self.authority else None)
        # A token goes where it was meant to go: neither through a proxy of the environment for a server here, nor on by a redirect.
        handlers: list[urllib.request.BaseHandler] = [
            urllib.request.HTTPSHandler(context=context),
            _NoRedirect(),
        ]
        if urlsplit(self.url).hostname in _HERE:
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def server_url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    parts = urlsplit(value)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise click.BadParameter(f"'{value}' is no URL; write https://access.example.com.")
    if parts.scheme == "http" and parts.hostname not in _HERE:
        raise click.BadParameter(f"'{value}' would send your token unencrypted; use https://.")
    return value.rstrip("/")


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command is given `server`, a Server."""

    def called(
        *args: Any, url: str, token_file: str, ca_file: str | None, token_cluster: str, **more: Any
    ) -> Any:
        server = Server(url, Path(token_file), Path(ca_file) if ca_file else None, token_cluster)
        return command(*args, server=server, **more)

    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option(
            "--token-cluster",
            default="",
            envvar="ALIQUOT_ACCESS_TOKEN_CLUSTER",
            show_envvar=True,
            help="The cluster whose token it is, where a cluster says who you are.",
        ),
        click.option(
            "--ca-file",
            type=GivenPath(exists=True, dir_okay=False),
            envvar="ALIQUOT_ACCESS_CA_FILE",
            show_envvar=True,
            help="PEM of whom to trust for the server.  [default: whom the machine trusts]",
        ),
        click.option(
            "--token-file",
            type=GivenPath(dir_okay=False),
            required=True,
            envvar="ALIQUOT_ACCESS_TOKEN_FILE",
            show_envvar=True,
            help="Your token, as your identity provider gave it. Read anew for each call.",
        ),
        click.option(
            "--server",
            "url",
            required=True,
            callback=server_url,
            envvar="ALIQUOT_ACCESS_SERVER",
            show_envvar=True,
            help="Where `aliquot access serve` answers, like https://access.example.com.",
        ),
    ):
        called = option(called)
    return called


def code_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command is given `code`, for `proof`."""
    return click.option(
        "--code",
        default="",
        help="Of your authenticator app, where the template asks for a fresh proof; it counts once.",
    )(command)


def proof(code: str) -> dict[str, str]:
    """Headers."""
    if not code:
        return {}
    said = json.dumps({"type": "totp", "code": code}).encode()
    return {"Aliquot_Proof": base64.urlsafe_b64encode(said).decode().rstrip("=")}


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        found = json.loads(error.read(65_536))
        return str(found["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"the server answers with HTTP {error.code}"
