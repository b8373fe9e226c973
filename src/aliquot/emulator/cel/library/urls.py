"""url('https://host:80/path?query') and its parts."""

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free, member
from aliquot.emulator.cel.types import BOOL, STRING, list_of, map_of, opaque
from aliquot.emulator.cel.values import Opaque
from aliquot.emulator.kinds import go_urls


@dataclass(frozen=True, slots=True)
class URL(Opaque):
    cel_type: ClassVar[str] = "kubernetes.URL"
    parts: SplitResult


URL_TYPE = opaque(URL.cel_type)


def problem(text: str) -> str:
    """Why `text` is no absolute URL or path, as Go says it; "" when it is one."""
    reason = go_urls.problem(text)
    if not reason:
        try:
            urlsplit(text)
        except ValueError as error:
            # Of a host in brackets, which alone Python looks at more closely.
            reason = str(error)
    return f'parse "{text}": {reason}' if reason else ""


def _url(text: str) -> URL:
    if wrong := problem(text):
        raise EvaluationError(f"URL parse error during conversion from string: {wrong}")
    return URL(urlsplit(text))


def _host(url: URL) -> str:
    return url.parts.netloc.rpartition("@")[2]


def _hostname(url: URL) -> str:
    host = _host(url)
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def _port(url: URL) -> str:
    _, separator, port = _host(url).rpartition("]")[2].rpartition(":")
    return port if separator else ""


def _path(url: URL) -> str:
    path = url.parts.path
    return path if "%" in path else quote(unquote(path), safe="/$&+,:;=@!'()*~")


_URLS = (URL_TYPE,)
_STRINGS = list_of(STRING)
OVERLOADS = (
    free("url", "string_to_url", (STRING,), URL_TYPE, _url),
    free("isURL", "is_url_string", (STRING,), BOOL, lambda text: not problem(text)),
    member("getScheme", "url_get_scheme", _URLS, STRING, lambda url: url.parts.scheme),
    member("getHost", "url_get_host", _URLS, STRING, _host),
    member("getHostname", "url_get_hostname", _URLS, STRING, _hostname),
    member("getPort", "url_get_port", _URLS, STRING, _port),
    member("getEscapedPath", "url_get_escaped_path", _URLS, STRING, _path),
    member(
        "getQuery",
        "url_get_query",
        _URLS,
        map_of(STRING, _STRINGS),
        lambda url: parse_qs(url.parts.query, keep_blank_values=True),
    ),
)
