"""What the reports say of what happened, and that the log alone comes to the same."""

import pytest

from aliquot.access.core.life.facts import replay
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.log.entries import Actor, Entry, parse
from aliquot.access.reports.catalogue import REPORTS
from aliquot.access.reports.document import draw, read
from aliquot.access.reports.kinds import revocation
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Cell, Material, Record
from aliquot.access.reports.sources.dumped import Dumped, lived
from aliquot.clock import rfc3339_milli
from tests.access.life.scenery import ISSUER
from tests.access.reports.story import story
from tests.access.store.test_store import life


def who(name: str) -> str:
    return f"{ISSUER}#{name}"


def test_who_could_ask_and_who_did() -> None:
    found = story().reports["access-review"]
    assert found.figures == {
        "requests": 5,
        "grants begun": 4,
        "people who asked or had access": 2,
        "grants that may be in a cluster now": 1,
        "changes of who may have what": 1,
    }
    (change,) = found["policies"].rows
    assert change[3:] == ("fix; peek", "", "", who("security"), "nobody")
    fix = found["eligible"].row("fix")
    assert (fix["may ask"], fix["agree"]) == (who("dev"), f"({who('sre')}) AND ({who('sec')})")
    assert found["eligible"].row("peek")["agree"] == "nobody: agreed to beforehand"
    assert found["eligible"].of("never used") == [False, False]
    assert found["overseers"].row("may have reports")["who"] == "nobody"
    of_fix = found["templates"].row("fix")
    assert [of_fix[name] for name in ("requests", "grants", "emergencies", "people")] == [4, 3, 2, 2]
    assert found["people"].of("subject") == ["dave", "dev"]
    (now,) = found["now"].rows
    assert now[0] == story().ids["running"]
    assert found["now"].row(story().ids["running"])["may use it"] is True


def test_who_agreed_through_what_and_how_soon() -> None:
    found = story().reports["approvals"]
    agreed = found["requests"].row(story().ids["agreed"])
    assert (agreed["took (s)"], agreed["approvers"]) == (30.0, 2)
    assert agreed["who agreed"] == f"{who('sara')}; {who('cleo')}"
    assert agreed["proof of who asked"] == "webauthn"
    assert [row[:4] for row in found["approvals"].rows] == [
        (story().ids["agreed"], who("sara"), who("sre"), "none"),
        (story().ids["agreed"], who("cleo"), who("sec"), "none"),
    ]
    assert [row[2:] for row in found["refusals"].rows] == [
        (story().ids["agreed"], who("dev"), "approve", "forbidden", True),
        ("", who("stranger"), "ask", "forbidden", False),
    ]
    figures = found.figures
    assert figures["requests agreed to"] == 2
    assert figures["of these by nobody: their template is agreed to beforehand"] == 1
    assert figures["time to agree, longest (s)"] == 30.0
    assert figures["attempts to approve one's own request, all refused"] == 1


def test_what_came_of_emergencies() -> None:
    found = story().reports["emergencies"]
    judged, unjudged = (found["reviews"].row(story().ids[name]) for name in ("judged", "unjudged"))
    assert (judged["outcome"], judged["late"], judged["end"]) == ("justified", False, "expired")
    assert (unjudged["outcome"], unjudged["late"], unjudged["closed"]) == ("open", True, None)
    assert [row[:3] for row in found["findings"].rows] == [(story().ids["judged"], who("rita"), "justified")]
    assert found.figures["reviews overdue now"] == 1


def test_what_was_gone_later_than_published_is_listed() -> None:
    found = story().reports["revocation"]
    (slow,) = found["beyond"].rows
    assert slow[0] == story().ids["agreed"]
    row = found["beyond"].row(story().ids["agreed"])
    assert (row["took (s)"], row["ended by"], row["end"]) == (20.0, who("sara"), "revoked")
    assert found["grants"].of("grant") == [story().ids[name] for name in ("agreed", "judged", "unjudged")]
    assert found["grants"].of("beyond the bound") == [True, False, False]
    assert found["distribution"].rows[-1] == (None, 2, 1)
    assert found.figures["beyond it, or not gone by then"] == 1


def test_what_was_ended_while_the_database_was_gone_is_told_as_it_was() -> None:
    ended = life(
        stage=Stage.ENDED,
        began_at_s=1_000_000.0,
        over_at_s=1_000_900.0,
        gone_at_s=1_000_901.0,
        end_reason=EndReason.REVOKED,
    )
    at = {"journaled": rfc3339_milli(1_000_100.0), "removed": rfc3339_milli(1_000_102.5)}

    def drawn(**details: str) -> list[tuple[Cell, ...]]:
        entry = Entry(
            seq=0,
            time=rfc3339_milli(1_000_900.0),
            actor=Actor("https://login", "ann"),
            action="journal.merged",
            grant=ended.id,
            request_digest="",
            policy_digest="",
            before="",
            after="",
            details=dict(details),
            commitments={},
            prev="",
        )
        found = Material(
            now_s=1_001_000.0,
            origin="log",
            records=lambda: iter([Record(ended, (entry,))]),
            loose=lambda: iter(()),
            checkpoints=lambda: iter(()),
            entries=1,
            root="",
        )
        rows = revocation.draw(found, Period(0.0, 1_001_000.0))
        return [row.cells[6:10] for row in rows if row.section == "grants"]

    assert drawn(**at, outcome="ended") == [(at["journaled"], at["removed"], 2.5, False)]
    assert drawn(**{**at, "removed": ""}, outcome="ended")[0][2:] == (801.0, True)
    assert drawn(**at, outcome="over_already")[0][2:] == (1.0, False)


def test_how_soon_the_kill_switch_had_everybody_out() -> None:
    (pull,) = story().reports["kill-switch"]["pulls"].rows
    row = story().reports["kill-switch"]["pulls"].row(pull[0])  # type: ignore[arg-type]
    assert (row["by"], row["cleared by"]) == (who("max"), f"{who('max')}; {who('mia')}")
    assert (row["grants ended"], row["not known to be gone"]) == (1, 0)


def test_whether_the_log_holds() -> None:
    found = story().reports["log-integrity"]
    entries = found.figures["entries"]
    assert found.figures["entries of the period"] == entries == found.head.log.entries
    assert found["checked"].rows[0] == ("it holds",)
    assert sum(found["actions"].of("entries")) == entries  # type: ignore[arg-type]
    assert [row[:2] for row in found["signatures"].rows] == [("log", "log.example.com/access")]


def test_what_access_was_used_for() -> None:
    found = story().reports["use"]
    agreed = found["credentials"].row(story().ids["agreed"])
    assert (agreed["credentials"], agreed["holder"]) == (1, who("dev"))
    assert found.figures == {"grants begun": 4, "of these without a credential: never used": 3}
    used = found["grants"].row(story().ids["agreed"])
    assert [used[name] for name in ("requests", "read", "shells", "denied", "rights", "rights not used")] == [
        *(3, 1, 1, 1),
        *(6, 5),
    ]
    assert used["from"] == "10.0.0.7"
    what = found["what"]
    assert list(
        zip(what.of("sort"), what.of("verb"), what.of("name"), what.of("denied by"), strict=True)
    ) == [
        ("shells", "create", "web-1", ""),
        ("read", "get", "web-1", ""),
        ("denied", "delete", "web-1", "rights"),
    ]
    unused = {(row[2], row[4]) for row in found["unused"].rows if row[0] == story().ids["agreed"]}
    assert ("list", "pods") in unused
    assert [row[2:6] for row in found["findings"].rows] == [
        ("use_after_end", "prod-one", story().ids["agreed"], "dev")
    ]
    seen = {row[0]: row[1] for row in found["seen"].rows}
    assert (seen["grants with a shell in a pod"], seen["findings"]) == (1, 1)


@pytest.mark.parametrize("name", REPORTS)
def test_the_log_alone_comes_to_the_same(name: str) -> None:
    there = story().reports[name].head
    with Dumped(story().dump) as dumped:
        material = dumped.material(story().period, now_s=story().now_s)
        with draw(REPORTS[name], material, story().period) as again:
            for old, new in zip(there.sections, again.head.sections, strict=True):
                assert not old.from_log or old == new
            assert (again.head.log.root, again.head.log.entries) == (there.log.root, there.log.entries)


def test_a_request_is_what_its_entries_tell_but_for_the_words() -> None:
    bodies = [line for line in story().dump if line.startswith(b'{"action":')]
    entries = [parse(line) for line in bodies]
    of_agreed = [one for one in entries if one.grant == story().ids["agreed"]]
    life = lived(of_agreed)
    assert life is not None
    assert life.request.justification == ""
    assert life.why == ""
    assert life.id == story().ids["agreed"]
    assert lived(of_agreed[3:]) is None
    assert replay([]) is None


@pytest.mark.parametrize("name", REPORTS)
def test_what_people_wrote_is_in_no_report(name: str) -> None:
    written = b"".join(story().reports[name].lines)
    for words in (b"checkout is down", b"it burned", b"quite enough", b"everybody out"):
        assert words not in written


@pytest.mark.parametrize("name", REPORTS)
def test_rows_are_as_wide_as_their_columns(name: str) -> None:
    _, sections = read(iter(story().reports[name].lines))
    for section, rows in sections:
        assert all(len(row) == len(section.columns) for row in rows)
