"""Bad input, case by case as docs/break-glass.md ("Bad input") lists it: the table there names the test that holds each line, and this
file has those that are about the API as a whole."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.api.application import application
from aliquot.access.api.hooks import Hooks
from aliquot.access.api.openapi import OPERATIONS, Operation
from aliquot.access.core.life.stages import Stage
from aliquot.access.tickets.incoming.deliveries import MOST_BYTES
from aliquot.access.tickets.incoming.settings import HookSettings, StandardHook
from tests.access.api.calling import ASKED, Api, with_api
from tests.access.broker.world import CLUSTER
from tests.access.life.scenery import person

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs/break-glass.md").read_text().partition("\n### Bad input\n")[2].partition("\n## ")[0]
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", SECTION)

INJECTIONS = (
    "x'; DROP TABLE lives;--",
    'x" OR "1"="1',
    "x\nresourceNames: ['*']",
    "x: {hostNetwork: true}",
    "' + object.metadata.name + '",
    "has(oldObject.spec)",
    "${workload}",
    "{{ 7 * 7 }}",
    "*",
)


def test_the_page_names_tests_that_there_are() -> None:
    assert len(NAMED) >= 20
    for file, name in NAMED:
        found = ROOT / "tests/access" / file
        assert re.search(rf"^(async )?def {name}\(", found.read_text(), re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("field", ["template", "cluster", "namespace", "ticket", "parameters", "start"])
def test_what_is_no_name_is_none_whatever_it_would_mean_elsewhere(field: str, text: str) -> None:
    async def body(api: Api) -> None:
        given = {"workload": text} if field == "parameters" else text
        came = await api.post("dev", "/v1/requests", {**ASKED, field: given})
        assert (came.status, came.kind) == (422, "invalid"), came.body
        assert "\n" not in came.json["detail"]
        assert (await api.get("max", "/v1/requests")).json["items"] == []
        logged = [one.action for one in await api.world.entries()]
        # A moment that is none is no ask yet.
        assert logged == ([] if field == "start" else ["refused.ask"])

    with_api(body)


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_people_write_in_their_own_words_is_words(text: str) -> None:
    async def body(api: Api) -> None:
        found = await api.asked(justification=text)
        other = await api.asked("dave")
        came = await api.post(
            "sara", f"/v1/requests/{found['id']}:deny", {"digest": found["digest"], "why": text}
        )
        assert came.json["why"] == text
        read = (await api.get("dev", f"/v1/requests/{found['id']}")).json
        assert (read["request"]["justification"], read["why"]) == (text, text)
        assert (await api.get("dave", f"/v1/requests/{other['id']}")).json == other
        events = (await api.get("max", "/v1/log/entries")).json
        told = [words for one in events for words in one["data"].get("personal", {}).values()]
        assert told.count(text) >= 2

    with_api(body)


@pytest.mark.parametrize(
    "one",
    [one for one in OPERATIONS if one.body is not None or one.takes == "Delivery"],
    ids=lambda one: f"{one.method} {one.path}",
)
def test_of_ten_megabytes_no_more_is_read_than_may_be_sent(one: Operation, tmp_path: Path) -> None:
    (tmp_path / "itsm").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    itsm: dict[str, HookSettings] = {"itsm": StandardHook(secret_file=str(tmp_path / "itsm"))}

    async def body(api: Api) -> None:
        api.app = application(api.door, **api.rooms(hooks=Hooks(api.door, api.world.others, itsm, None)))
        found = await api.active()
        name = "itsm" if one.takes else CLUSTER
        path = one.path.replace("{id}", found["id"]).replace("{name}", name)
        huge = b'{"justification": "' + b"x" * 10_000_000 + b'"}'
        entries = len(await api.world.entries())
        for who in ("dev", "sara", "rita", "max"):
            came = await api.call(who, one.method.upper(), path, raw=huge)
            assert came.status in (403, 404, 413), (who, came.body)
            assert came.bytes_read <= (MOST_BYTES if one.takes else 65_536) + 32_768
        assert any(
            [
                (await api.call(who, one.method.upper(), path, raw=huge)).status == 413
                for who in ("dev", "sara", "rita", "max")
            ]
        )
        actions = [each.action for each in (await api.world.entries())[entries:]]
        assert all(each.startswith("refused.") for each in actions)

    with_api(body)


def test_a_group_that_was_taken_away_after_approval_counts_no_more() -> None:
    async def body(api: Api) -> None:
        found = await api.agreed()
        path = f"/v1/requests/{found['id']}"
        people = api.world.others.people
        cleo = people[person("cleo")]
        people[person("cleo")] = replace(cleo, groups=frozenset())
        came = await api.post("dev", f"{path}:activate")
        assert (came.status, came.kind) == (409, "conflict")
        assert came.json["detail"] == (
            "those who agreed to it are not enough any more, as their issuers know them now"
        )
        last = (await api.world.entries())[-1]
        assert (last.action, last.grant) == ("refused.activate", found["id"])
        people[person("cleo")] = cleo
        assert (await api.post("dev", f"{path}:activate")).json["stage"] == "activating"

    with_api(body)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_of_one_more_than_may_be_one_is_refused(method: str) -> None:
    """At once: of template `fix` nobody has more than two."""

    async def body(api: Api) -> None:
        from tests.access.api.test_declaring import an_id

        paths = [
            f"/v1/requests/{an_id(number)}" if method == "PUT" else "/v1/requests" for number in (1, 2, 3)
        ]
        came = await asyncio.gather(*(api.call("dev", method, one, ASKED, raw=None) for one in paths))
        assert sorted(one.status for one in came) == [201, 201, 429]
        (refused,) = (one for one in came if one.status == 429)
        assert refused.json["detail"] == "2 of template 'fix' are yours already, and nobody has more than 2"
        assert [one.action for one in await api.world.entries()].count("refused.ask") == 1

    with_api(body)


def test_an_approval_for_another_digest_changes_nothing() -> None:
    async def body(api: Api) -> None:
        first, second = await api.asked(), await api.asked(durationSeconds=7200)
        path = f"/v1/requests/{second['id']}"
        digests: list[Any] = [
            first["digest"],
            "",
            "sha256:",
            second["digest"].upper(),
            second["digest"] + " ",
        ]
        for digest in digests:
            came = await api.post("sara", f"{path}:approve", {"digest": digest})
            assert (came.status, came.kind) == (409, "conflict")
        assert (await api.post("sara", f"{path}:approve", {"digest": None})).status == 422
        assert (await api.get("dev", path)).json == second
        logged = [one.action for one in await api.world.entries()]
        assert logged.count("refused.approve") == len(digests)
        assert (await api.world.life(second["id"])).stage is Stage.PENDING

    with_api(body)


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/requests/{id}:withdraw", "/v1/requests/{id}:approve"])
@pytest.mark.parametrize("size", [10, 40_000])
def test_whoever_goes_away_meanwhile_is_no_fault_of_the_server(path: str, size: int) -> None:
    async def run(api: Api) -> None:
        asked = await api.asked()
        who = "sara" if "approve" in path else "dev"
        before = await api.world.entries()
        api.leaves = True
        # What the server would write down, it raises here.
        await api.call(who, "POST", path.format(id=asked["id"]), raw=b"{" + b" " * size)
        assert await api.world.entries() == before

    with_api(run)
