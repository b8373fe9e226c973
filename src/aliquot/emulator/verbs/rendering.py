"""What was found, in the form that the client asked for: objects, their metadata alone, or the rows of a table."""

from collections.abc import Iterable, Sequence

import msgspec

from aliquot.emulator import statuses, tables
from aliquot.emulator.discovery import ResourceType
from aliquot.emulator.http.answers import Answer, json_answer
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.storage.conversion import from_stored
from aliquot.emulator.storage.storage import Stored
from aliquot.emulator.tables import Form, IncludeObject, Printer, Rendering
from aliquot.emulator.verbs.call import Call
from aliquot.emulator.verbs.reading import Page

_ACCEPTED = ("application/json", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io")


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
