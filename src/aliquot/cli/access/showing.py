"""Requests for people: what they are to agree to is shown whole, and what somebody wrote is marked, so that it cannot pass for anything
else."""

from collections.abc import Sequence
from typing import Any

import click

from aliquot.cli.output import Format, emit
from aliquot.kube.duration import text as duration

COLUMNS = ("ID", "TEMPLATE", "WHERE", "WHO", "STAGE", "END (UTC)")
WIDE_COLUMNS = (*COLUMNS, "FOR", "TICKET", "REVIEW", "ISSUER")
ENDED_IN_OUTAGE = "ended in outage"
_ACCOUNT = "system:serviceaccount:"
_MINUTES = slice(len("2026-"), len("2026-11-29T08:52"))


def tell(found: dict[str, Any], output: Format) -> None:
    """A request, whole."""
    if output is Format.TABLE:
        click.echo(described(found))
    else:
        emit(output, lambda: found, columns=(), rows=())


def tell_stage(found: dict[str, Any], output: Format) -> None:
    """What has become of one."""
    if output is Format.TABLE:
        click.echo(stage(found))
    else:
        emit(output, lambda: found, columns=(), rows=())


def stage(found: dict[str, Any]) -> str:
    if "isJournaled" in found:
        # Without its database the server says in words what it has done.
        return f"{found['grant']}: {found['detail']}"
    if ended := found.get("endedInOutage"):
        return f"{found['id']}: {ENDED_IN_OUTAGE}{_said(ended['why'])}"
    return f"{found['id']}: {found['stage']}{_because(found)}"


def described(found: dict[str, Any]) -> str:
    """All that is agreed to."""
    asked = found["request"]
    begins = f" from {asked['start']}" if asked["start"] else ""
    lines = [
        stage(found),
        _line("digest", found["digest"]),
        _line("who", person(asked["requester"])),
        _line("template", asked["template"]),
        _line("where", _where(asked["cluster"], asked["namespace"])),
        _line("for", duration(asked["durationSeconds"]) + begins),
    ]
    if asked["parameters"]:
        pairs = ", ".join(f"{name}={value}" for name, value in sorted(asked["parameters"].items()))
        lines.append(_line("with", pairs))
    if asked["ticket"]:
        lines.append(_line("ticket", asked["ticket"]))
    if asked["emergency"]:
        lines.append(_line("emergency", "agreed to by nobody"))
    if asked["extends"]:
        lines.append(_line("extends", asked["extends"]))
    lines += _may(asked["rules"])
    lines.append("  because")
    lines += [f"    | {line}" for line in asked["justification"].splitlines()]
    if found["approvals"]:
        lines.append("  agreed")
        lines += [f"    {person(one['person'])} at {one['at']}" for one in found["approvals"]]
    if ended := found.get("endedInOutage"):
        lines.append(_line("over", f"{ended['at']} by {person(ended['by'])}"))
        lines += [_line("", one) for one in in_outage(ended)]
    elif found["overAt"]:
        by = f" by {person(found['endedBy'])}" if found["endedBy"] else ""
        lines.append(_line("over", found["overAt"] + by))
    elif found["end"]:
        lines.append(_line("ends", found["end"]))
    if found["reviewState"] != "none":
        lines.append(_line("review", found["reviewState"]))
    return "\n".join(lines)


def in_outage(ended: dict[str, Any]) -> list[str]:
    """What was done by a server without its database."""
    left = [] if ended["isRemoved"] else ["not all is gone from the clusters yet: it is tried until it is"]
    return ["this server knows, and the database does not yet: it is told once it can be written", *left]


def foreseen(template: str, where: tuple[str, str], found: dict[str, Any]) -> str:
    """What a request would come to."""
    lines = [
        _line("template", template),
        _line("where", _where(*where)),
        _line("for", duration(found["durationSeconds"])),
        *_may(found["rules"]),
    ]
    slots = found["approvals"]["slots"]
    apart = ", each through another group" if len(slots) > 1 and found["approvals"]["distinctGroups"] else ""
    lines.append(_line("agreed to", f"by {len(slots)}{apart}" if slots else "by nobody"))
    lines += [f"    {_slot(one)}" for one in slots]
    proof = found["stepUp"]
    lines += [
        _line("proof", f"{proof['request']} to ask, {proof['approval']} to agree"),
        _line("ticket", found["ticket"]),
        _line("review", "by others, afterwards" if found["reviewed"] else "none"),
        _line("ends", f"{found['latestEnd']} at the latest"),
        _line("extended", f"{found['latestEndWithExtensions']} at the latest"),
        _line(
            "use",
            f"at most {found['useAfterEndSeconds']} s after its end, {found['useAfterRevokeSeconds']} s after it is revoked",
        ),
    ]
    if found["missing"]:
        lines.append("  missing")
        lines += [f"    {line}" for line in found["missing"]]
    return "\n".join(lines)


def rows(items: Sequence[dict[str, Any]], *, wide: bool) -> list[list[str]]:
    return [_row(one, wide=wide) for one in items]


def _row(found: dict[str, Any], *, wide: bool) -> list[str]:
    asked = found["request"]
    who = asked["requester"]
    ended = found.get("endedInOutage")
    cells = [
        found["id"],
        asked["template"],
        f"{asked['cluster']}/{asked['namespace']}" if asked["namespace"] else asked["cluster"],
        who["subject"] if wide else who["subject"].removeprefix(_ACCOUNT),
        ENDED_IN_OUTAGE if ended else found["stage"],
        ((ended or {}).get("at") or found["overAt"] or found["end"] or "-")[_MINUTES].replace("T", " ")
        or "-",
    ]
    if wide:
        review = found["reviewState"]
        cells += [
            duration(asked["durationSeconds"]),
            asked["ticket"] or "-",
            review if review != "none" else "-",
            who["issuer"],
        ]
    return cells


def person(found: dict[str, str]) -> str:
    return f"{found['subject']} of {found['issuer']}"


def _slot(found: dict[str, Any]) -> str:
    people = [person(one) for one in found["people"]]
    groups = [f"group {one}" for one in found["groups"]]
    return " or ".join((*groups, *people)) or "nobody"


def _where(cluster: str, namespace: str) -> str:
    return f"namespace {namespace} of {cluster}" if namespace else f"all of cluster {cluster}"


def _may(rules: Sequence[dict[str, Any]]) -> list[str]:
    return ["  may", *(f"    {rule_text(rule)}" for rule in rules)]


def rule_text(rule: dict[str, Any]) -> str:
    groups = [one for one in rule["apiGroups"] if one]
    of = f" of {', '.join(groups)}" if groups else ""
    named = f" named {', '.join(rule['resourceNames'])}" if rule["resourceNames"] else ""
    return f"{', '.join(rule['verbs'])} {', '.join(rule['resources'])}{of}{named}"


def _because(found: dict[str, Any]) -> str:
    return _said((found["endReason"] or "").replace("_", " "), found["why"] or "")


def _said(*words: str) -> str:
    said = "; ".join(" ".join(one.split()) for one in words if one.strip())
    return f" ({said})" if said else ""


def _line(name: str, value: str) -> str:
    return f"  {name:<10} {value}"
