"""Events as kube-apiserver 1.36.2 wrote them, of a grant that kubectl used and others meddled with."""

from pathlib import Path

from aliquot.access.audit import checks
from aliquot.access.audit.checks import Looked
from aliquot.access.audit.events import Event, read_lines, stripped
from aliquot.access.audit.joining import How, Known, whose
from aliquot.access.audit.use import summary, tally
from aliquot.access.core.rules import Rule
from aliquot.access.store.reading import Given
from aliquot.clock import parse_rfc3339
from tests.access.audit.test_checks import life

RECORDED = Path(__file__).with_name("kubernetes-1.36.2.jsonl")
GRANT = "r01m8kdsedd9twd46psmgb3p2ma"
BEGAN_S = parse_rfc3339("2026-11-29T10:32:12Z")
JTI = "JTI=bf852c43-654d-4a28-8cb9-34a91ef07db5"
RULES = (Rule(("",), ("pods", "pods/log", "configmaps"), ("get", "list", "watch")),)


def recorded() -> list[Event]:
    events, unread = read_lines(RECORDED.read_bytes().splitlines(), RECORDED.name)
    assert unread == []
    return events


def known() -> Known:
    one = life(GRANT, began_at_s=BEGAN_S, end_s=BEGAN_S + 1800)
    return Known({GRANT: one}, {JTI: Given(JTI, GRANT, BEGAN_S, BEGAN_S + 600)})


def test_what_the_grant_was_used_for() -> None:
    joined = [(one, whose(one, known())) for one in recorded()]
    events = [one for one, grant in joined if grant is not None]
    assert {grant.how for _, grant in joined if grant is not None} == {How.CREDENTIAL, How.IMPERSONATED}
    own = [one for one in events if one.acts_as is None]
    found = summary(GRANT, RULES, tally(own, {one.id for one in own}))
    assert [(one.verb, one.resource, one.count) for one in found.read] == [
        ("list", "pods", 1),
        ("get", "pods/log", 1),
        ("watch", "configmaps", 1),
    ]
    assert [(one.verb, one.resource, one.name, one.container) for one in found.denied] == [
        ("list", "secrets", "", ""),
        ("get", "pods/exec", "web", "web"),
        ("create", "pods/exec", "web", "web"),
        ("impersonate-on:user-info:get", "", "/version", ""),
        ("impersonate-on:user-info:list", "pods", "", ""),
    ]
    assert (found.count, found.rights, found.unused_rights) == (8, 9, 6)


def test_what_no_grant_explains() -> None:
    found = {
        (finding.rule, finding.who)
        for one in recorded()
        for finding in checks.found(
            Looked(event=one, cluster="one", whose=whose(one, known()), known=known())
        )
    }
    assert found == {
        ("impersonated", "admin"),
        ("system_masters", "admin"),
        ("token_request", "admin"),
        ("policies_touched", "admin"),
    }


def test_no_command_is_kept() -> None:
    assert RECORDED.read_bytes().count(b"geheim") == 4
    for line in RECORDED.read_bytes().splitlines():
        assert b"geheim" not in (stripped(line) or b"")
    assert "geheim" not in repr(recorded())
