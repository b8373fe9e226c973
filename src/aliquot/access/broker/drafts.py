"""What the log is told of a step, a refusal, the kill switch and credentials."""

from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.access.broker.around import Caller
from aliquot.access.core.killing import KillSwitch
from aliquot.access.core.life.facts import Fact
from aliquot.access.core.life.life import Life
from aliquot.access.core.notices import Notice
from aliquot.access.core.refusals import Refused
from aliquot.access.core.spelling import spell
from aliquot.access.journal.records import Act, Pulled
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.reports.document import Head, drawing
from aliquot.clock import rfc3339_milli

NOBODY = Actor("aliquot", "time")
"""Time, or a rule."""


def actor(caller: Caller | None) -> Actor:
    if caller is None:
        return NOBODY
    return Actor(caller.person.issuer, caller.person.subject, caller.auth, caller.credential)


def of_facts(facts: Iterable[Fact], caller: Caller | None) -> list[Draft]:
    return [
        Draft(
            time_s=fact.at_s,
            actor=_actor(fact, caller),
            action=fact.action,
            grant=fact.grant,
            request_digest=fact.request_digest,
            policy_digest=fact.policy_digest,
            before=fact.before.value if fact.before is not None else "",
            after=fact.after.value,
            details=fact.details,
            personal=fact.personal,
        )
        for fact in facts
    ]


def of_refusal(what: str, no: Refused, caller: Caller, life: Life | None, now_s: float) -> Draft:
    """What it was about may be in the reason, as somebody wrote it."""
    return Draft(
        time_s=now_s,
        actor=actor(caller),
        action=f"refused.{what}",
        grant=life.id if life is not None else "",
        request_digest=life.digest if life is not None else "",
        details={"ground": no.ground.value},
        personal={"reason": no.reason},
    )


def of_refusals(counted: Mapping[str, int], caller: Caller, since_s: float, now_s: float) -> Draft:
    """Those that have no entries of their own."""
    return Draft(
        time_s=now_s,
        actor=actor(caller),
        action="refused.more",
        details={"since": rfc3339_milli(since_s), "counted": dict(sorted(counted.items()))},
    )


def of_switch(action: str, before: KillSwitch, after: KillSwitch, caller: Caller, now_s: float) -> Draft:
    spelled = spell(after)
    why = spelled.pop("why")
    return Draft(
        time_s=now_s,
        actor=actor(caller),
        action=action,
        before="pulled" if before.is_pulled else "clear",
        after="pulled" if after.is_pulled else "clear",
        details={"switch": spelled},
        personal={"why": str(why)} if why else {},
    )


def of_report(head: Head, caller: Caller, now_s: float) -> Draft:
    """Which, of what, and what came of it: whoever has it can tell that it is this one."""
    return Draft(
        time_s=now_s,
        actor=actor(caller),
        action="report.drawn",
        details=drawing(head),
    )


def of_journaled(
    act: Act,
    caller: Caller,
    before: Life | None,
    after: Life | None,
    outcome: str,
    removed_at_s: float | None,
    now_s: float,
) -> Draft:
    """What was done while the database was gone: when, and what it came to when the database was told."""
    details: dict[str, Any] = {
        "record": act.id,
        "act": type(act).__name__.lower(),
        "journaled": rfc3339_milli(act.at_s),
        "removed": rfc3339_milli(removed_at_s) if removed_at_s is not None else "",
        "outcome": outcome,
    }
    if not isinstance(act, Pulled):
        details |= {"cluster": act.cluster, "namespace": act.namespace, "knownBy": act.means.value}
    return Draft(
        time_s=now_s,
        actor=actor(caller),
        action="journal.merged",
        grant="" if isinstance(act, Pulled) else act.grant,
        request_digest=before.digest if before is not None else "",
        before=before.stage.value if before is not None else "",
        after=after.stage.value if after is not None else "",
        details=details,
        personal={"why": act.why} if act.why else {},
    )


def of_grant(action: str, life: Life, caller: Caller | None, now_s: float, **details: object) -> Draft:
    return Draft(
        time_s=now_s,
        actor=actor(caller),
        action=action,
        grant=life.id,
        request_digest=life.digest,
        before=life.stage.value,
        after=life.stage.value,
        details=details,
    )


def of_notice(action: str, notice: Notice, now_s: float) -> Draft:
    """Why may name people."""
    details = {
        "source": notice.source,
        "sort": notice.sort,
        "cluster": notice.cluster,
        "about": notice.about,
    }
    return Draft(
        time_s=now_s,
        actor=Actor("aliquot", notice.source),
        action=action,
        grant=notice.grant,
        details=details,
        personal={"why": notice.why} if notice.why else {},
    )


def _actor(fact: Fact, caller: Caller | None) -> Actor:
    if fact.by is None:
        return NOBODY
    if caller is not None and caller.person == fact.by:
        return actor(caller)
    return Actor(fact.by.issuer, fact.by.subject)
