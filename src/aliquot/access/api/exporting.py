"""The log for other systems, page by page: for those who may read all of it."""

import re
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from aliquot.access.api import reading
from aliquot.access.api.door import Door
from aliquot.access.api.overseeing import PERSONAL
from aliquot.access.api.problems import Problem
from aliquot.access.log.dump import Recorded, shown
from aliquot.access.log.exports.forms import MEDIA_TYPES, Form, document
from aliquot.access.log.exports.ocsf import ASKED, is_about_access
from aliquot.access.store.reading import Reading

_SEQ = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)
_MOST = 1000
PAGE = {
    "from": _SEQ,
    "limit": re.compile("[1-9][0-9]{0,2}|1000", re.ASCII),
    "format": re.compile("|".join(Form)),
    **PERSONAL,
}
_ANY = ("*/*", "application/*", "application/json")
"""What those send who take whatever there is."""


class Exporting:
    def __init__(self, door: Door, *, origin: str) -> None:
        self._door = door
        self._origin = origin

    async def entries(self, request: Request) -> Response:
        """The oldest first. What was written stays where it is, so that a page is always the same."""
        await self._door.overseer(request, "reading", "is not of those who may read all of the log")
        given = reading.query(request, PAGE)
        form = Form(given["format"]) if "format" in given else _accepted(request.headers.get("accept", ""))
        first, most = int(given.get("from", "0")), int(given.get("limit", str(_MOST)))
        with_personal = given.get("personal", "true") == "true"

        def work(tx: Reading) -> tuple[str, int]:
            size = tx.log.head().tree.size
            end = min(first + most, size)
            found = [
                shown(one, self._origin, with_personal=with_personal) for one in tx.log.entries(first, end)
            ]
            return document(form, found, self._earlier(tx, found)), size

        text, size = await self._door.store.read_long(work)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if first + most < size:
            after = urlencode({**given, "format": form.value, "from": str(first + most)})
            headers["Link"] = f'<{request.url.path}?{after}>; rel="next"'
        return Response(text, headers=headers, media_type=MEDIA_TYPES[form])

    def _earlier(self, tx: Reading, found: list[Recorded]) -> list[Recorded]:
        """How grants began that had begun before."""
        here = {one.entry.grant for one in found if one.entry.action == ASKED}
        wanted = {one.entry.grant for one in found if is_about_access(one.entry)} - here
        begun = [tx.log.of_grant(one)[:1] for one in sorted(wanted)]
        return [shown(one, self._origin, with_personal=False) for first in begun for one in first]


def _accepted(header: str) -> Form:
    """Raises Problem."""
    ranges = [one.partition(";")[0].strip().lower() for one in header.split(",")]
    for one in ranges:
        for form, media_type in MEDIA_TYPES.items():
            if one == media_type:
                return form
        if one in _ANY or header == "":
            return Form.CLOUDEVENTS
    raise Problem(406, "media-type", f"take one of {', '.join(MEDIA_TYPES.values())}, or say format=")
