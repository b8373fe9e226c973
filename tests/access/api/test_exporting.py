"""The log over the API: for other systems page by page, and what proves that it only grew."""

import csv
import io
import json
from typing import Any

import pytest

from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.core.life.stages import Stage
from aliquot.access.log.notes import new_key
from aliquot.access.log.proofs import is_consistent
from aliquot.access.log.verify import ED25519, parse_checkpoint, parse_note
from aliquot.access.log.witness.request import parse
from tests.access.api.calling import Answer, Api, with_api

BATCH, LINES, TABLE = "application/cloudevents-batch+json", "application/jsonl", "text/csv"


def _events(page: Answer) -> list[Any]:
    match page.headers["content-type"].partition(";")[0]:
        case "text/csv":
            return list(csv.DictReader(io.StringIO(page.body.decode(), newline="")))
        case "application/jsonl":
            return [json.loads(line) for line in page.body.splitlines()]
        case _:
            return list(page.json)


async def _pages(api: Api, path: str) -> list[Any]:
    """By following what each page says is next."""
    found: list[Any] = []
    while path:
        page = await api.get("max", path)
        assert page.status == 200, page.body
        found += _events(page)
        path = page.headers.get("link", "").removesuffix('>; rel="next"').removeprefix("<")
    return found


@pytest.mark.parametrize("form", ["cloudevents", "ocsf", "csv"])
@pytest.mark.parametrize("limit", [1, 4])
def test_pages_are_the_whole_of_it(form: str, limit: int) -> None:
    async def body(api: Api) -> None:
        found = await api.active()
        await api.post("dev", f"/v1/grants/{found['id']}:return")
        await api.world.until(found["id"], Stage.ENDED)
        whole = await _pages(api, f"/v1/log/entries?format={form}")
        assert len(whole) == len(await api.world.entries())
        assert await _pages(api, f"/v1/log/entries?format={form}&limit={limit}") == whole
        assert _events(await api.get("max", f"/v1/log/entries?format={form}&from=9999")) == []

    with_api(body)


def test_a_page_in_the_middle_says_who_was_given_access() -> None:
    async def body(api: Api) -> None:
        await api.active()
        last = len(await api.world.entries())
        (given,) = (
            one
            for one in _events(await api.get("max", f"/v1/log/entries?format=ocsf&from={last - 3}"))
            if one["class_uid"] == 3005
        )
        assert (given["user"]["uid"], given["privileges"]) == ("dev", ["fix"])

    with_api(body)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", BATCH),
        ("*/*", BATCH),
        ("application/json", BATCH),
        (BATCH, BATCH),
        (f"{TABLE}, {BATCH};q=0.5", TABLE),
        ("application/xml, text/csv;q=0.9", TABLE),
        (LINES, LINES),
    ],
)
def test_as_it_is_accepted(accept: str, media_type: str) -> None:
    async def body(api: Api) -> None:
        await api.asked()
        page = await api.get("max", "/v1/log/entries", accept=accept)
        assert page.headers["content-type"].partition(";")[0] == media_type
        assert len(_events(page)) == len(await api.world.entries())
        assert page.headers["cache-control"] == "no-store"

    with_api(body)


def test_what_is_refused() -> None:
    async def body(api: Api) -> None:
        await api.asked()
        assert (await api.get("max", "/v1/log/entries", accept="image/png")).status == 406
        assert (await api.get("dev", "/v1/log/entries")).kind == "forbidden"
        for query in ("format=xml", "limit=0", "limit=1001", "from=-1", "since=0"):
            assert (await api.get("max", f"/v1/log/entries?{query}")).kind == "invalid"

    with_api(body)


def test_what_people_wrote_can_be_left_out() -> None:
    async def body(api: Api) -> None:
        await api.asked(justification="the customer's name is Ada")
        for form in ("cloudevents", "ocsf", "csv"):
            path = f"/v1/log/entries?format={form}"
            assert b"Ada" in (await api.get("max", path)).body
            assert b"Ada" not in (await api.get("max", f"{path}&personal=false")).body

    with_api(body)


def test_it_goes_on_from_what_was_seen() -> None:
    async def body(api: Api) -> None:
        assert (await api.get("dev", "/v1/log/consistency?from=0")).status == 404
        signing = Checkpointing(api.world.store, new_key("log.example.com/access", ED25519, bytes(32)))
        await api.asked()
        await signing.sign()
        seen = parse_checkpoint(parse_note((await api.get("dev", "/v1/log/checkpoint")).body.decode()).text)
        await api.active()
        await signing.sign()
        found = parse((await api.get("dev", f"/v1/log/consistency?from={seen.size}")).body)
        now = parse_checkpoint(parse_note(found.note).text)
        assert found.old == seen.size < now.size
        assert is_consistent(seen.size, now.size, seen.root, now.root, found.proof)
        assert not is_consistent(seen.size, now.size, bytes(32), now.root, found.proof)
        assert (await api.get("dev", f"/v1/log/consistency?from={now.size + 1}")).status == 404
        assert (await api.get("dev", "/v1/log/consistency")).kind == "invalid"

    with_api(body)
