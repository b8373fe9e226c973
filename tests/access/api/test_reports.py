"""Reports over the API: for whom, in which form, and what the log says of it."""

import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from aliquot import __version__
from aliquot.access.broker import drafts
from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.core.life.stages import Stage
from aliquot.access.log.dump import dump
from aliquot.access.reports import document
from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.document import drawing, read
from aliquot.cli.access.log import log
from aliquot.cli.access.report import report
from tests.access.api.calling import LOG_KEY as KEY
from tests.access.api.calling import Answer, Api, with_api
from tests.access.life.scenery import circle

FROM = "?from=2025-12-31"


async def ended(api: Api) -> str:
    """A grant that was asked for, agreed to, had and given back."""
    found = (await api.active())["id"]
    assert isinstance(found, str)
    await api.post("dev", f"/v1/grants/{found}:return")
    await api.world.until(found, Stage.ENDED)
    return found


async def dumped(api: Api) -> bytes:
    return await api.world.store.read(
        lambda tx: b"".join(dump(tx.log, KEY.name, tx.log.head().tree.size, with_personal=True))
    )


def test_reports_are_for_auditors_and_those_who_look_after_all() -> None:
    async def body(api: Api) -> None:
        for who in ("dev", "rita", "stranger"):
            answer = await api.get(who, f"/v1/reports/approvals{FROM}")
            assert (answer.status, answer.kind) == (403, "forbidden")
        assert (await api.get("nobody", f"/v1/reports/approvals{FROM}")).status == 401
        assert (await api.get("max", f"/v1/reports/approvals{FROM}")).status == 200
        policy = api.world.others.policy
        assert policy is not None
        api.world.others.policy = replace(policy, auditors=circle("audit"))
        assert (await api.get("rita", f"/v1/reports/approvals{FROM}")).status == 200
        entries = await api.world.entries()
        assert [(one.action, one.actor.sub) for one in entries] == [
            ("refused.report", "dev"),
            ("refused.report", "rita"),
            ("refused.report", "stranger"),
            ("report.drawn", "max"),
            ("report.drawn", "rita"),
        ]

    with_api(body)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("nothing", 404, "there are access-review, approvals"),
        ("approvals", 422, "'from' is missing"),
        ("approvals?from=yesterday", 422, "'from' is 'yesterday'"),
        ("approvals?from=2026-02-31", 422, "has to be a day like"),
        ("approvals?from=2026-01-02&to=2026-01-01", 422, "is not before 'to'"),
        ("approvals?from=2026-01-01&until=2026-01-02", 422, "unknown parameter 'until'"),
    ],
)
def test_what_is_no_report_changes_nothing(path: str, status: int, message: str) -> None:
    async def body(api: Api) -> None:
        answer = await api.get("max", f"/v1/reports/{path}")
        assert (answer.status, message in answer.json["detail"]) == (status, True), answer.json
        assert await api.world.entries() == []

    with_api(body)


def test_a_report_in_its_forms() -> None:
    async def body(api: Api) -> tuple[str, dict[str, Answer]]:
        found = await ended(api)
        accepted = {"json": "*/*", "csv": "text/csv, */*;q=0.1", "lines": "application/jsonl"}
        return found, {
            name: await api.get("max", f"/v1/reports/revocation{FROM}", accept=accept)
            for name, accept in accepted.items()
        }

    found, answers = with_api(body)
    answered = answers["json"].json
    sections = {one["name"]: one["rows"] for one in answered["sections"]}
    assert [row[0] for row in sections["grants"]] == [found]
    assert answers["csv"].headers["content-type"].startswith("text/csv")
    assert "revocation-2025-12-31-2026-01-01.csv" in answers["csv"].headers["content-disposition"]
    table = list(csv.reader(io.StringIO(answers["csv"].body.decode(), newline="")))
    assert [row for row in table if row and row[0] == found]
    head, parts = read(iter(answers["lines"].body.splitlines(keepends=True)))
    assert [list(rows) for _, rows in parts] == [
        [tuple(row) for row in one["rows"]] for one in answered["sections"]
    ]
    assert head.log.drawn is not None
    assert head.log.drawn > answered["log"]["drawn"]
    assert all(one.headers["cache-control"] == "no-store" for one in answers.values())


def test_a_report_can_be_checked_with_the_log_alone(tmp_path: Path) -> None:
    async def body(api: Api) -> tuple[dict[str, bytes], bytes]:
        await ended(api)
        drawn = {
            name: (await api.get("max", f"/v1/reports/{name}{FROM}", accept="application/jsonl")).body
            for name in REPORTS
        }
        # Life goes on: what was drawn is drawn again as it was then.
        await ended(api)
        await Checkpointing(api.world.store, KEY).sign()
        return drawn, await dumped(api)

    drawn, dump_ = with_api(body)
    (tmp_path / "dump").write_bytes(dump_)

    def checked(lines: bytes) -> tuple[int, str]:
        (tmp_path / "report").write_bytes(lines)
        arguments = [
            "verify-report",
            str(tmp_path / "report"),
            str(tmp_path / "dump"),
            "--key",
            KEY.public.text,
        ]
        result = CliRunner().invoke(log, arguments)
        return result.exit_code, result.output

    for name, lines in drawn.items():
        head, _ = read(iter(lines.splitlines(keepends=True)))
        assert head.log.checkpoint.startswith(f"{KEY.name}\n"), "it is signed over all of that"
        code, output = checked(lines)
        assert code == 0, (name, output)
        assert f"is what entry {head.log.drawn} says was drawn" in output
        assert "drawn again from the first" in output
    revocation = drawn["revocation"]
    code, output = checked(revocation.replace(b'"returned"', b'"revoked"'))
    assert (code, "is not what its head says: the report was altered" in output) == (1, True), output
    first, _, rest = revocation.partition(b"\n")
    head_ = json.loads(first)
    for change in (
        {"from": "2025-12-30T00:00:00.000Z"},
        {"report": "approvals"},
        {"at": "2026-01-01T05:00:00.000Z"},
    ):
        code, output = checked(json.dumps({**head_, **change}).encode() + b"\n" + rest)
        assert (code, "does not say that this was drawn" in output) == (1, True), output
    code, output = checked(
        json.dumps({**head_, "log": {**head_["log"], "root": "AAAA"}}).encode() + b"\n" + rest
    )
    assert (code, "it names root AAAA" in output) == (1, True), output
    assert checked(b"{}\n")[0] == 1


@pytest.mark.parametrize(
    ("form", "says"),
    [
        (0, "drawn by form 0, this is form 1: take the version that drew it\n"),
        (2, f"drawn by form 2 (Aliquot {__version__}), this is form 1: take the version that drew it\n"),
    ],
)
def test_a_report_of_another_form_is_not_called_wrong(
    form: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that another version drew, with a section that is not drawn so here, and told its log more."""

    async def body(api: Api) -> tuple[bytes, bytes]:
        await ended(api)
        answer = await api.get("max", f"/v1/reports/revocation{FROM}", accept="application/jsonl")
        return answer.body, await dumped(api)

    with monkeypatch.context() as then:
        then.setattr(document, "REPORTS_VERSION", form)
        if not form:
            then.setattr(document, "__version__", "")
        else:
            then.setattr(drafts, "drawing", lambda head: {**drawing(head), "more": 1})
        old = REPORTS["revocation"]
        then.setitem(REPORTS, "revocation", replace(old, sections=old.sections[::-1]))
        lines, dump_ = with_api(body)
    (tmp_path / "dump").write_bytes(dump_)

    def checked(lines: bytes) -> tuple[int, str]:
        (tmp_path / "report").write_bytes(lines)
        arguments = [str(tmp_path / "report"), str(tmp_path / "dump"), "--key", KEY.public.text]
        result = CliRunner().invoke(log, ["verify-report", *arguments])
        return result.exit_code, result.output

    assert checked(lines) == (3, says)
    first, _, rest = lines.partition(b"\n")
    for change in ({"form": 7}, {"form": 1}, {"from": "2025-12-30T00:00:00.000Z"}):
        altered = json.dumps({**json.loads(first), **change}).encode() + b"\n" + rest
        code, output = checked(altered)
        assert (code, "WRONG: entry" in output) == (1, True), (change, output)


def test_the_form_is_raised_when_sections_change() -> None:
    """If this fails: raise REPORTS_VERSION, and then write down here what it is the form of."""
    shapes = {
        name: [(one.name, one.columns, one.from_log) for one in each.sections]
        for name, each in REPORTS.items()
    }
    found = hashlib.sha256(json.dumps(shapes, sort_keys=True).encode()).hexdigest()[:16]
    assert (document.REPORTS_VERSION, found) == (1, "fbc2db1782444f50")


def test_numbers_that_the_log_does_not_come_to_are_seen(tmp_path: Path) -> None:
    """A server that draws what never was, and logs that it did."""

    async def body(api: Api) -> tuple[bytes, bytes]:
        api.world.clusters.delay_s = 3.0
        found = await ended(api)
        life = await api.world.life(found)
        altered = replace(life, gone_at_s=life.over_at_s)
        await api.world.store.write(lambda tx: tx.replace(life, replace(altered, version=life.version + 1)))
        answer = await api.get("max", f"/v1/reports/revocation{FROM}", accept="application/jsonl")
        return answer.body, await dumped(api)

    lines, dump_ = with_api(body)
    (tmp_path / "dump").write_bytes(dump_)
    (tmp_path / "report").write_bytes(lines)
    result = CliRunner().invoke(
        log, ["verify-report", str(tmp_path / "report"), str(tmp_path / "dump"), "--key", KEY.public.text]
    )
    assert result.exit_code == 1
    assert "WRONG: section grants has 1 rows, and the log comes to others" in result.output


def test_the_command_names_every_report() -> None:
    assert all(name in (report.help or "") for name in REPORTS)
