"""Answers: what a handler found, in the form that the client asked for, as bytes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aliquot.emulator import statuses, tables
from aliquot.emulator.discovery import ResourceType
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.storage.conversion import from_stored
from aliquot.emulator.storage.storage import Stored
from aliquot.emulator.tables import Form, IncludeObject, Printer, Rendering
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.reading import Page

_JSON = "application/json"
_WARNINGS_CHARACTERS, _CUT_WARNING_CHARACTERS = 4096, 256
"""As kube-apiserver bounds them: clients refuse answers with longer headers."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ACCEPTED = ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io")


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


def rendering(accept: str) -> Rendering:
    """Raises StatusError 406."""
    found = tables.rendering(accept)
    if found is None:
        raise statuses.not_acceptable(_ACCEPTED)
    return found


def include_object(call: Call) -> IncludeObject:
    asked = call.request.query.text("includeObject")
    try:
        return IncludeObject(asked) if asked else IncludeObject.METADATA
    except ValueError:
        raise statuses.bad_request(f'includeObject: Invalid value: "{asked}"') from None


def object_answer(call: Call, form: Rendering, found: Stored, now: float, status: int = 200) -> Answer:
    """One object."""
    if form.form is Form.OBJECT:
        if found.record is not None and found.served.native:
            return Answer(status, found.record.body, warnings=call.warnings)
        return json_answer(found.obj, status, warnings=call.warnings)
    return _formed(call, form, found.obj, found.served.printer, now, status)


def scale_answer(call: Call, form: Rendering, scale: Json, now: float) -> Answer:
    if form.form is Form.OBJECT:
        return json_answer(scale, warnings=call.warnings)
    return _formed(call, form, scale, tables.SCALE, now, 200)


def _formed(call: Call, form: Rendering, obj: Json, printer: Printer, now: float, status: int) -> Answer:
    if form.form is Form.METADATA:
        body = tables.partial_metadata(obj, form.version)
    else:
        body = printer.table(
            [obj],
            now=now,
            include=include_object(call),
            list_metadata={"resourceVersion": metadata(obj).get("resourceVersion", "")},
            version=form.version,
        )
    return json_answer(body, status, warnings=call.warnings)


def list_answer(call: Call, form: Rendering, page: Page, now: float) -> Answer:
    """A page of objects, put together from their stored bytes where the form allows it."""
    served = call.served
    resource = served.resource
    if form.form is Form.OBJECT and served.native:
        head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": page.metadata}
        start, end = msgspec.json.encode(head)[:-1] + b',"items":[', b"]}"
        body = _joined(start, [record.body for record in page.records], end, resource)
        return Answer(200, body, warnings=call.warnings)
    objects: Iterable[Json] = (from_stored(served, record.decode()) for record in page.records)
    if form.form is Form.TABLE:
        table = served.printer.table(
            objects, now=now, include=include_object(call), list_metadata=page.metadata, version=form.version
        )
        return json_answer(table, 200, warnings=call.warnings)
    if form.form is Form.METADATA:
        listed = tables.partial_metadata_list(objects, page.metadata, form.version)
        return json_answer(listed, 200, warnings=call.warnings)
    if not resource.custom:
        objects = map(_without_type, objects)
    plain = {
        "kind": resource.list_kind,
        "apiVersion": resource.api_version,
        "metadata": page.metadata,
        "items": list(objects),
    }
    return json_answer(plain, warnings=call.warnings)


def _joined(start: bytes, bodies: Sequence[bytes], end: bytes, resource: ResourceType) -> bytes:
    """A list of `bodies`, which may be megabytes: each byte is copied once.

    As the items of a list of a built-in kind stand in it: the list alone says what they are.
    """
    if resource.custom or not bodies:
        return b"".join((start, b",".join(bodies), end))
    usual = b'{"apiVersion":%s,"kind":%s,' % (
        msgspec.json.encode(resource.api_version),
        msgspec.json.encode(resource.kind),
    )
    skipped = len(usual)
    items: list[bytes | memoryview] = [
        memoryview(body)[skipped:]
        if body.startswith(usual)
        else msgspec.json.encode(_without_type(msgspec.json.decode(body)))[1:]
        for body in bodies
    ]
    items[0] = b"%s{%s" % (start, items[0])
    items[-1] = b"%s%s" % (items[-1], end)
    return b",{".join(items)


def _without_type(obj: Json) -> Json:
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
