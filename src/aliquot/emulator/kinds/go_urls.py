"""What Go takes for the URL of a request: an absolute URI, or an absolute path (net/url.ParseRequestURI)."""

import json
import re

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(:[0-9]*)?")
_HOST = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:\[\]<>\"%]|[^\x00-\x7f]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_OF_ASCII = re.compile(r"(?<!%25)%(?!25)[0-7][0-9A-Fa-f]")


def problem(text: str) -> str:
    """Why `text` is none, as Go says it; "" when it is one."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        return "net/url: invalid control character in URL"
    if not text:
        return "empty url"
    if text == "*":
        return ""
    if text.startswith(":"):
        return "missing protocol scheme"
    match = _SCHEME.fullmatch(text)
    rest = (match[2] if match else text).partition("?")[0]
    if not rest.startswith("/"):
        return "" if match else "invalid URI for request"
    if not match or not rest.startswith("//"):
        return _escapes(rest)
    authority, slash, path = rest[2:].partition("/")
    return _authority(authority) or _escapes(slash + path)


def _authority(text: str) -> str:
    user, at, host = text.rpartition("@")
    if wrong := _host(host):
        return wrong
    if at and _USER.fullmatch(user) is None:
        return "net/url: invalid userinfo"
    return _escapes(user)


def _host(host: str) -> str:
    name, bracket, port = host.rpartition("]")
    if host.startswith("[") and not bracket:
        return "missing ']' in host"
    if not host.startswith("["):
        name, colon, port = host.partition(":")
        port = colon + port
    if _PORT.fullmatch(port) is None:
        return f"invalid port {_quoted(port)} after host"
    wrong = next((character for character in name if _HOST.fullmatch(character) is None), None)
    if wrong is not None:
        return f"invalid character {_quoted(wrong)} in host name"
    return _escapes(name) or _ascii_escape(name)


def _ascii_escape(host: str) -> str:
    """In a host, only bytes that are not ASCII are written as numbers, and the percent sign before a zone."""
    return next((f"invalid URL escape {_quoted(found[0])}" for found in _OF_ASCII.finditer(host)), "")


def _escapes(text: str) -> str:
    """A percent sign begins the number of a byte."""
    for at in (found.start() for found in re.finditer("%", text)):
        if _ESCAPE.match(text, at) is None:
            return f"invalid URL escape {_quoted(text[at : at + 3])}"
    return ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
