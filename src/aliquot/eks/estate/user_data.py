"""User data of a launch template as the text that a node reads: base64, perhaps gzip, perhaps MIME in parts, as cloud-init takes it;
manifests of static pods that Bottlerocket carries along as base64."""

import base64
import binascii
import re
import zlib
from email import message_from_bytes, policy
from email.message import EmailMessage

_GZIP = b"\x1f\x8b"
_MOST_BYTES = 1 << 20
_MIME = re.compile(rb"\A(?:[\w-]+:[^\n]*\n)*content-type:\s*multipart/", re.IGNORECASE)
_STATIC_POD = re.compile(
    r"^\s*\[\"?settings\"?\.\"?kubernetes\"?\.\"?static-pods\"?\.[^\n]*\n(?:(?!\s*\[)[^\n]*\n)*?\s*manifest\s*=\s*[\"']([A-Za-z0-9+/=\s]+)[\"']",
    re.MULTILINE,
)


def decoded(text: str) -> str:
    """Raises ValueError with one line where it is nothing that a node could read."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        # Some fakes, and some people, give it as it is.
        return text
    plain = _plain(raw)
    return "\n".join([plain, *_static_pods(plain)])


def _plain(raw: bytes) -> str:
    if raw[:2] == _GZIP:
        raw = _unzipped(raw)
    if not _MIME.match(raw.lstrip()):
        return _text(raw)
    message = message_from_bytes(raw.lstrip(), policy=policy.default)
    parts = []
    for part in message.walk():
        if isinstance(part, EmailMessage) and not part.is_multipart():
            payload = part.get_payload(decode=True)
            parts.append(_plain(payload) if isinstance(payload, bytes) else "")
    return "\n".join(parts)


def _text(raw: bytes) -> str:
    if b"\0" in raw:
        raise ValueError("it is no text")
    return raw.decode(errors="replace")


def _unzipped(raw: bytes) -> bytes:
    unzipping = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        text = unzipping.decompress(raw, _MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"it is not gzip: {error}") from None
    if unzipping.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {_MOST_BYTES >> 20} MiB")
    return text


def _static_pods(plain: str) -> list[str]:
    found = []
    for manifest in _STATIC_POD.findall(plain):
        try:
            found.append(base64.b64decode("".join(manifest.split()), validate=True).decode(errors="replace"))
        except binascii.Error:
            raise ValueError("the manifest of a static pod in it is not base64") from None
    return found
