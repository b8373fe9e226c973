"""A plan as a runbook in Markdown: for whoever approves it, and for whoever would rather go through it by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime

from aliquot.eks.plan import wording
from aliquot.eks.plan.plan import Hop, Plan
from aliquot.eks.plan.times import duration
from aliquot.eks.upgrade.states import Abort
from aliquot.eks.upgrade.steps import Step


def markdown(plan: Plan) -> str:
    return (
        "\n".join([*_head(plan), *(line for hop in plan.hops for line in _hop(plan, hop)), *_foot(plan)])
        + "\n"
    )


def _head(plan: Plan) -> Iterator[str]:
    made = datetime.fromtimestamp(plan.made_s, UTC)
    yield f"# {plan.cluster}: {plan.now} to {plan.to}"
    yield ""
    yield f"Plan `{plan.id}`, made {made:%Y-%m-%d %H:%M} UTC" + (f", of `{plan.arn}`" if plan.arn else "")
    yield f"on the state `{plan.state_hash[:16]}`. Once that has changed it is not applied any more: plan anew."
    yield ""
    hops = ", ".join(f"{to}: {duration(seconds)}" for to, seconds in wording.times(plan).items())
    yield f"- Time: {duration(plan.expected_s)} expected, with soaks; of hops alone {hops}. Approvals come on top."
    for line in wording.costs(plan):
        yield f"- {line[0].upper()}{line[1:]}."
    for window in plan.options.windows:
        yield f"- Window: `{window.schedule}` ({window.time_zone}) for {duration(window.duration_s)}: steps that people may notice begin in it."
    for note in plan.notes:
        yield f"- Mind: {note}."
    for one in plan.unchecked:
        yield f"- **Not checked**: {one.what}: {one.why}."
    for waiver in plan.options.waivers:
        yield f"- Waived: {waiver.check}, {waiver.what} ({waiver.reason}), until {waiver.expires}."
    yield ""
    yield from _disrupted(plan)


def _disrupted(plan: Plan) -> Iterator[str]:
    yield "## Who is disturbed"
    yield ""
    steps = [step for step in plan.steps if step.disrupts]
    for step in steps:
        yield f"- `{step.id}` ({wording.expected(step)}): {step.disrupts}"
    if not steps:
        yield "Nobody."
    yield ""


def _hop(plan: Plan, hop: Hop) -> Iterator[str]:
    yield f"## {hop.now} to {hop.to}" if hop.now != hop.to else f"## The rest of {hop.to}"
    yield ""
    stands: Abort | None = None
    for number, step in enumerate(plan.steps_of(hop), start=1):
        if step.abort is not stands:
            stands = step.abort
            yield f"**From here on:** {wording.STOPS[stands]}."
            yield ""
        yield from _step(plan, number, step)


def _step(plan: Plan, number: int, step: Step) -> Iterator[str]:
    yield f"### {number}. {step.what}"
    yield ""
    yield f"`{step.id}`: {wording.expected(step)}"
    yield ""
    command = wording.command(plan, step)
    if command:
        yield from ("```sh", command, "```", "")
    for title, told in (
        ("By hand", wording.by_hand(plan, step)),
        ("Disturbs", step.disrupts),
        ("Done when", wording.verified(plan, step)),
        ("Back", step.back),
    ):
        if told:
            yield f"- {title}: {told}"
    yield ""


def _foot(plan: Plan) -> Iterator[str]:
    yield "## What it rests on"
    yield ""
    yield "| what | is |"
    yield "| --- | --- |"
    for name, value in sorted(plan.state.items()):
        cell = value.replace("|", "\\|").replace("\n", " ")
        yield f"| {name} | `{cell}` |"
