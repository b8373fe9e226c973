"""Answers: a status, headers and bytes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from aliquot.emulator import statuses
from aliquot.emulator.http import yaml_body

_JSON = "application/json"
_YAML = "application/yaml"
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
    denied: bool = False
    """By authorization: browsers are kept from guessing what it is."""

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-cache, private"),
        ]
        if self.retry_after_s:
            found.append((b"retry-after", str(self.retry_after_s).encode()))
        if self.denied:
            found.append((b"x-content-type-options", b"nosniff"))
        return [*found, *warning_headers(self.warnings)]


def json_answer(
    body: Any, status: int = 200, content_type: str = _JSON, warnings: Sequence[str] = ()
) -> Answer:
    return Answer(status, msgspec.json.encode(body), content_type, warnings)


def in_yaml(answer: Answer) -> Answer:
    """An answer that is an object of the API, in YAML; others are as they are."""
    if answer.content_type != _JSON:
        return answer
    body = msgspec.json.decode(answer.body)
    if not isinstance(body, dict) or "kind" not in body:
        return answer
    return replace(answer, body=yaml_body.encode(body), content_type=_YAML)


def status_answer(status: Mapping[str, Any], warnings: Sequence[str] = (), *, denied: bool = False) -> Answer:
    retry_after_s = (status.get("details") or {}).get("retryAfterSeconds", 0)
    code = int(status.get("code", 200))
    body = msgspec.json.encode(status)
    return Answer(code, body, warnings=warnings, retry_after_s=retry_after_s, denied=denied)


def refusal(error: statuses.StatusError, warnings: Sequence[str] = ()) -> Answer:
    if error.text:
        return text_answer(error.text, error.code)
    return status_answer(error.status, warnings, denied=error.denied)


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
