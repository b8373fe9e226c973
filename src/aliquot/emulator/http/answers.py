"""Answers: a status, headers and bytes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aliquot.emulator import statuses

_JSON = "application/json"
_WARNINGS_CHARACTERS, _CUT_WARNING_CHARACTERS = 4096, 256
"""As kube-apiserver bounds them: clients refuse answers with longer headers."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = _JSON
    warnings: Sequence[str] = field(default=())
    retry_after_s: int = 0
    """0: not told."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-cache, private"),
        ]
        if self.retry_after_s:
            found.append((b"retry-after", str(self.retry_after_s).encode()))
        return [*found, *warning_headers(self.warnings)]


def json_answer(
    body: Any, status: int = 200, content_type: str = _JSON, warnings: Sequence[str] = ()
) -> Answer:
    return Answer(status, msgspec.json.encode(body), content_type, warnings)


def status_answer(status: Mapping[str, Any], warnings: Sequence[str] = ()) -> Answer:
    retry_after_s = (status.get("details") or {}).get("retryAfterSeconds", 0)
    code = int(status.get("code", 200))
    return Answer(code, msgspec.json.encode(status), warnings=warnings, retry_after_s=retry_after_s)


def refusal(error: statuses.StatusError, warnings: Sequence[str] = ()) -> Answer:
    return text_answer(error.text, error.code) if error.text else status_answer(error.status, warnings)


def text_answer(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8")


def warning_headers(texts: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """As many as fit: where all of them together are too long, each is cut, and the last ones are left out.

    Control characters, which no header may carry, are shown as a mark: field names come from strangers.
    """
    if sum(map(len, texts)) > _WARNINGS_CHARACTERS:
        texts = [text[:_CUT_WARNING_CHARACTERS] for text in texts]
    headers: list[tuple[bytes, bytes]] = []
    left = _WARNINGS_CHARACTERS
    for text in texts:
        left -= len(text)
        if left < 0:
            break
        printable = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
        escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
        headers.append((b"warning", f'299 - "{escaped}"'.encode()))
    return headers
