"""Mail addresses (RFC 5322), as Go's net/mail reads them: with a name, comments, or as a group of one."""

import ipaddress
import re

_ATOM = r"[^\x00-\x20\x7f()<>\[\]:;@\\,\".]"
_DOT_ATOM = rf"{_ATOM}+(?:\.{_ATOM}+)*"
_QUOTED = r"(?:[^\"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])"
_SPACE = r"[ \t]*"
_SPACE_OR_COMMENTS = r"(?:[ \t]|\(\))*"
_SPEC = (
    rf"""{_SPACE}(?:{_DOT_ATOM}|"{_QUOTED}+")@{_SPACE}(?:{_DOT_ATOM}|\[(?P<NAME>[^\x00-\x20\x7f\[\]\\]*)\])"""
)
_PHRASE = rf"""(?:{_ATOM}|\.|"{_QUOTED}*")(?:{_ATOM}|[. \t]|\(\)|"{_QUOTED}*")*"""


def _mailbox(name: str) -> str:
    bare, angled = (_SPEC.replace("NAME", f"{name}_{form}") for form in ("bare", "angled"))
    return rf"(?:{bare}|{_SPACE}(?:{_PHRASE})?<{angled}>)"


_ADDRESS = re.compile(
    rf"(?:{_mailbox('alone')}|{_SPACE}{_PHRASE}:{_mailbox('grouped')}{_SPACE_OR_COMMENTS};){_SPACE_OR_COMMENTS}"
)


def is_one(text: str) -> bool:
    """Whether `text` is the address of one mailbox."""
    found = _ADDRESS.fullmatch(_without_comments(text))
    return found is not None and all(map(_is_ip, filter(None, found.groups())))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _without_comments(text: str) -> str:
    """`text` with nothing in its comments. One that does not end is left."""
    kept: list[str] = []
    depth, quoted, escaped = 0, False, False
    for char in text:
        special = not escaped
        escaped = special and char == "\\" and (quoted or depth > 0)
        if special and char == ")" and depth:
            depth -= 1
        if not depth:
            kept.append(char)
        if special and char == '"' and not depth:
            quoted = not quoted
        if special and char == "(" and not quoted:
            depth += 1
    return "".join(kept)
