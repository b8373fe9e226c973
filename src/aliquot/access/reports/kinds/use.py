"""What access was used for: credentials that were given, and what clusters' audit logs tell of their use."""

from collections import Counter
from collections.abc import Iterator

from aliquot.access.audit.use import GrantUse, Line
from aliquot.access.core.life.life import Life
from aliquot.access.core.rules import Rule
from aliquot.access.reports.period import Period
from aliquot.access.reports.report import (
    FIGURES,
    MOST_FINDINGS,
    Cell,
    Material,
    Record,
    Report,
    Row,
    Section,
    at,
    figure,
    figures,
)

_SORTS = ("secrets", "shells", "forwards", "changed", "read", "denied")
"""Of what was done, what matters most first."""


def draw(material: Material, period: Period) -> Iterator[Row]:
    counts: Counter[str] = Counter()
    for record in material.records():
        life = record.life
        if not period.has(life.began_at_s):
            continue
        counts["grants"] += 1
        given = [entry.time for entry in record.entries if entry.action == "credential.given"]
        counts["no credential"] += not given
        first, last = (given[0], given[-1]) if given else (None, None)
        yield Row("credentials", (life.id, *_whose(life), len(given), first, last))
        use = material.use(record.life)
        if use is None:
            continue
        counts["seen"] += use.count > 0
        for name in ("secrets", "shells", "denied"):
            counts[name] += bool(getattr(use, name))
        yield Row("grants", _row(record, use))
        for name in _SORTS:
            for line in getattr(use, name):
                yield Row("what", _line(life.id, name, line))
        for rule in use.unused:
            yield Row("unused", (life.id, life.request.template, *_rule(rule)))
    for finding in material.findings():
        if period.from_s <= finding.last_s and finding.first_s < period.to_s:
            counts["findings"] += 1
            yield Row(
                "findings",
                (
                    at(finding.first_s),
                    at(finding.last_s),
                    finding.rule,
                    finding.cluster,
                    finding.grant,
                    finding.who,
                    finding.text,
                ),
            )
    yield figure("grants begun", counts["grants"])
    yield figure("of these without a credential: never used", counts["no credential"])
    for name, count in (
        ("grants seen in a cluster's audit log", counts["seen"]),
        ("grants that touched Secrets", counts["secrets"]),
        ("grants with a shell in a pod", counts["shells"]),
        ("grants that were denied something", counts["denied"]),
        ("findings", counts["findings"]),
    ):
        yield Row("seen", (name, count))


def _whose(life: Life) -> tuple[Cell, ...]:
    request = life.request
    return (
        str(life.holder),
        request.template,
        request.cluster,
        request.namespace or "(all of the cluster)",
        at(life.began_at_s),
        at(life.over_at_s),
    )


def _row(record: Record, use: GrantUse) -> tuple[Cell, ...]:
    lines = (use.read, use.changed, use.secrets, use.shells, use.forwards, use.denied)
    return (
        use.grant,
        *_whose(record.life),
        use.count,
        at(use.first_s),
        at(use.last_s),
        *(sum(line.count for line in some) for some in lines),
        use.rights,
        use.unused_rights,
        "; ".join(one.name for one in use.addresses),
        use.is_folded or use.is_cut,
    )


def _line(grant: str, sort: str, line: Line) -> tuple[Cell, ...]:
    resource = f"{line.resource}.{line.group}" if line.group else line.resource
    place = (line.namespace, line.name, line.container)
    return (
        grant,
        sort,
        line.verb,
        resource,
        *place,
        line.failed,
        line.by,
        line.count,
        at(line.first_s),
        at(line.last_s),
    )


def _rule(rule: Rule) -> tuple[Cell, ...]:
    parts = (rule.verbs, rule.api_groups, rule.resources, rule.resource_names)
    return tuple(
        " ".join(one or "(core)" for one in part) if part is rule.api_groups else " ".join(part)
        for part in parts
    )


_WHOSE = ("holder", "template", "cluster", "namespace", "began", "over")

REPORT = Report(
    name="use",
    title="Use",
    says="What the grants that began in the period were used for: credentials, by the log; requests, by what clusters' audit logs"
    " delivered. What a cluster does not log or deliver is not here, nor what was typed in a shell.",
    sections=(
        figures(),
        Section(
            name="seen",
            says="Counted from the audit logs that clusters delivered.",
            columns=FIGURES,
            from_log=False,
        ),
        Section(
            name="findings",
            says=f"What should not be and was seen, in or about clusters: the latest {MOST_FINDINGS}.",
            columns=("first", "last", "rule", "cluster", "grant", "who", "what"),
            from_log=False,
        ),
        Section(
            name="credentials",
            says="Each grant, and how many credentials were given for it. With none nobody was let in by it.",
            columns=("grant", *_WHOSE, "credentials", "first given", "last given"),
        ),
        Section(
            name="grants",
            says="Each grant, and how many requests of its holder the cluster's audit log tells of.",
            columns=(
                "grant",
                *_WHOSE,
                "requests",
                "first",
                "last",
                "read",
                "changed",
                "secrets",
                "shells",
                "tunnels",
                "denied",
                "rights",
                "rights not used",
                "from",
                "not all told apart",
            ),
            from_log=False,
        ),
        Section(
            name="what",
            says="What was done, the gravest sorts first. 'failed': it was let through, and came to nothing.",
            columns=(
                "grant",
                "sort",
                "verb",
                "resource",
                "namespace",
                "name",
                "container",
                "failed",
                "denied by",
                "times",
                "first",
                "last",
            ),
            from_log=False,
        ),
        Section(
            name="unused",
            says="Rights that were given and never used: what a template could do without.",
            columns=("grant", "template", "verbs", "groups", "resources", "names"),
            from_log=False,
        ),
    ),
    draw=draw,
)
