"""Who could ask for what, and who did."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aliquot.access.core.life.life import Life, entitled
from aliquot.access.core.life.stages import IN_CLUSTER, Stage
from aliquot.access.core.people import Person
from aliquot.access.core.quorum import Quorum, Slot
from aliquot.access.core.templates.template import Circle, Template
from aliquot.access.log.entries import Entry
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import Cell, Material, Report, Row, Section, at, figure, figures


@dataclass
class _Had:
    """Of a template or a person, in the period but for `last_s`."""

    requests: int = 0
    grants: int = 0
    emergencies: int = 0
    refused: int = 0
    """Denied, withdrawn or lapsed."""
    others: set[str] = field(default_factory=set)
    """Of a template the people, of a person the templates."""
    last_s: float | None = None
    """When a grant began last, ever."""

    def count(self, life: Life, other: str, period: Period) -> None:
        if period.has(life.request.asked_at_s):
            self.requests += 1
            self.others.add(other)
        if life.stage in (Stage.DENIED, Stage.WITHDRAWN, Stage.LAPSED) and period.has(life.over_at_s):
            self.refused += 1
        if life.began_at_s is not None and life.began_at_s < period.to_s:
            self.last_s = max(self.last_s or 0.0, life.began_at_s)
            if period.has(life.began_at_s):
                self.grants += 1
                self.emergencies += life.request.emergency
                self.others.add(other)


def draw(material: Material, period: Period) -> Iterator[Row]:
    templates: dict[str, _Had] = {}
    people: dict[Person, _Had] = {}
    now = 0
    for record in material.records():
        life, name = record.life, record.life.request.template
        templates.setdefault(name, _Had()).count(life, str(life.holder), period)
        people.setdefault(life.holder, _Had()).count(life, name, period)
        if life.stage in IN_CLUSTER:
            now += 1
            yield Row("now", _now(life, material.now_s))
    yield figure("requests", sum(one.requests for one in templates.values()))
    yield figure("grants begun", sum(one.grants for one in templates.values()))
    yield figure("people who asked or had access", sum(bool(one.others) for one in people.values()))
    yield figure("grants that may be in a cluster now", now)
    for name, had in sorted(templates.items()):
        of_template = (had.requests, had.grants, had.emergencies, had.refused, len(had.others))
        yield Row("templates", (name, *of_template, at(had.last_s)))
    for person, had in sorted(people.items()):
        if had.others or had.refused:
            names = "; ".join(sorted(had.others))
            counts = (had.requests, had.grants, had.emergencies, had.refused)
            yield Row("people", (person.issuer, person.subject, *counts, names, at(had.last_s)))
    changes = 0
    for entry in material.loose():
        if entry.action == "policy.changed" and period.has_entry(entry.time):
            changes += 1
            yield Row("policies", _policy(entry))
    yield figure("changes of who may have what", changes)
    yield from _eligible(material, templates)


def _now(life: Life, now_s: float) -> tuple[str | bool | None, ...]:
    request = life.request
    return (
        life.id,
        str(life.holder),
        request.template,
        request.cluster,
        request.namespace or "(all of the cluster)",
        life.stage.value,
        entitled(life, now_s),
        at(life.began_at_s),
        at(life.end_s),
    )


def _policy(entry: Entry) -> tuple[Cell, ...]:
    said = entry.details
    parts = ("; ".join(said.get(name, ())) for name in ("added", "changed", "gone"))
    circles = (_spelled(said[name]) if name in said else "" for name in ("security", "auditors"))
    return (entry.time, entry.seq, entry.after, *parts, *circles)


def _spelled(circle: Mapping[str, Any]) -> str:
    people = (f"{one['issuer']}#{one['subject']}" for one in circle["people"])
    return "; ".join([*circle["groups"], *people]) or "nobody"


def _eligible(material: Material, had: dict[str, _Had]) -> Iterator[Row]:
    policy = material.policy
    if policy is None:
        return
    for name, template in sorted(policy.templates.items()):
        last_s = had[name].last_s if name in had else None
        yield Row(
            "eligible",
            (
                name,
                template.tier.value,
                template.owner,
                _who(template.requesters),
                _who(template.emergency.who) if template.emergency is not None else "",
                _agree(template),
                _quorum(template.review.reviewers) if template.review is not None else "",
                template.max_duration_s,
                last_s is None,
                at(last_s),
            ),
        )
    yield Row("overseers", ("may end anything, and pull the kill switch", _who(policy.security)))
    yield Row("overseers", ("agree to clear the kill switch", _quorum(policy.clearing)))
    yield Row("overseers", ("may have reports", _who(policy.auditors)))


def _agree(template: Template) -> str:
    return _quorum(template.quorum) if template.quorum.slots else "nobody: agreed to beforehand"


def _quorum(quorum: Quorum) -> str:
    return " AND ".join(f"({_who(slot)})" for slot in quorum.slots)


def _who(circle: Circle | Slot) -> str:
    """Without a group or a person it is nobody."""
    return "; ".join([*circle.groups, *(str(one) for one in circle.people)]) or "nobody"


REPORT = Report(
    name="access-review",
    title="Access review",
    says="Who could ask for what, who did, and who has access now.",
    sections=(
        figures(),
        Section(
            name="eligible",
            says="Who may ask for each template now, by the bindings. Who is in a group, its issuer says.",
            columns=(
                "template",
                "tier",
                "owner",
                "may ask",
                "may in an emergency",
                "agree",
                "review",
                "at most (s)",
                "never used",
                "last used",
            ),
            from_log=False,
        ),
        Section(
            name="overseers",
            says="Who looks after all of it, by the policy as it is now.",
            columns=("what", "who"),
            from_log=False,
        ),
        Section(
            name="policies",
            says="Each time that the files of policy, bindings and templates said something else than before. Their digests are in the"
            " entry; who changed them is in your repository.",
            columns=("time", "entry", "digest", "added", "changed", "gone", "security", "auditors"),
        ),
        Section(
            name="templates",
            says="What was asked for of each template in the period. 'last used' is ever.",
            columns=("template", "requests", "grants", "emergencies", "not given", "people", "last used"),
        ),
        Section(
            name="people",
            says="Everybody who asked, or had access, in the period.",
            columns=(
                "issuer",
                "subject",
                "requests",
                "grants",
                "emergencies",
                "not given",
                "templates",
                "last began",
            ),
        ),
        Section(
            name="now",
            says="What may be in a cluster at this moment, whenever it was asked for.",
            columns=(
                "grant",
                "holder",
                "template",
                "cluster",
                "namespace",
                "stage",
                "may use it",
                "began",
                "ends",
            ),
        ),
    ),
    draw=draw,
)
