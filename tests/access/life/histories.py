"""Histories of several requests of several people, at random: commands, clocks that jump, deliveries that come late, twice or never,
people who lose their groups, templates that change, and the kill switch. After each step every invariant is looked at.

python -m tests.access.life.histories --count 5000    as many; one that fails is made short and shown
python -m tests.access.life.histories --seed 17       others
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from aliquot.access.core.killing import KillSwitch, clear, pull
from aliquot.access.core.life.asking import extension
from aliquot.access.core.life.events import (
    Activate,
    Approve,
    Deny,
    EndedInOutage,
    Event,
    Judge,
    Look,
    Made,
    Return,
    Revoke,
    Withdraw,
)
from aliquot.access.core.life.facts import replay
from aliquot.access.core.life.here import Step
from aliquot.access.core.life.life import Life, Outcome
from aliquot.access.core.life.minting import Mint
from aliquot.access.core.life.stages import FINAL, IN_CLUSTER, EndReason, Stage
from aliquot.access.core.life.steps import step
from aliquot.access.core.life.timing import due_s
from aliquot.access.core.limits import Usage
from aliquot.access.core.people import Person
from aliquot.access.core.policy import Policy
from aliquot.access.core.quorum import Quorum
from aliquot.access.core.refusals import Refused
from aliquot.access.core.rules import Rule
from aliquot.access.core.templates.template import Need, TicketRule
from aliquot.access.core.terms import Ask, Standing, TicketFound
from tests.access.life.book import SKEW_S, Book
from tests.access.life.scenery import (
    FIX,
    HOUR_S,
    PEEK,
    PEOPLE,
    START_S,
    groups,
    person,
    policy_of,
    slots,
)
from tests.access.life.world import World

ANY = st.integers(0, 40)
TICKET = "CHG1"
FORGED = "sha256:" + "0" * 64
POLICIES = (
    policy_of(),
    policy_of((FIX,)),
    policy_of((replace(FIX, rules=FIX.rules[:1]), PEEK)),
    policy_of((replace(FIX, quorum=slots("sre", "sec", "audit")), PEEK)),
    policy_of((replace(FIX, quorum=Quorum()), replace(PEEK, most_per_person=3, cool_down_s=0))),
    policy_of((replace(FIX, requesters=FIX.emergency.who if FIX.emergency else FIX.requesters), PEEK)),
    policy_of((replace(FIX, emergency=None), PEEK)),
    policy_of((replace(FIX, absolute_cap_s=HOUR_S, start_window_s=60), PEEK)),
    policy_of((replace(FIX, ticket=TicketRule(need=Need.REQUIRED)), PEEK)),
    policy_of((replace(FIX, most_per_person=1, most_at_once=1), PEEK)),
    policy_of((replace(FIX, clusters=("test-*",)), PEEK)),
    policy_of(ceiling=(Rule(("",), ("pods", "pods/log"), ("get", "list")),)),
    policy_of(ceiling=()),
)
"""As it was meant, and as others have changed it."""

_MOST_LIVES = 9
_CAN_BE_UNKNOWN = ("policy", "switch", "usage", "ticket", "identities", "parent", "dev", "sara", "cleo")


Trouble: TypeAlias = Callable[[World], None]


def _unknown(what: str) -> Trouble:
    return lambda world: world.unknown.add(what)


def _regrouped(name: str, of: str) -> Trouble:
    one = person(name)
    return lambda world: world.identities.update({one: replace(PEOPLE[one], groups=frozenset(groups(of)))})


def _policy(policy: Policy) -> Trouble:
    return lambda world: setattr(world, "policy", policy)


def _ticket(standing: Standing) -> Trouble:
    return lambda world: world.tickets.update({TICKET: TicketFound(ticket=TICKET, standing=standing)})


TROUBLES = (
    *(_unknown(what) for what in _CAN_BE_UNKNOWN),
    *(_regrouped(name, "audit") for name in ("dev", "dave", "sara", "cleo")),
    *(_regrouped(name, "") for name in ("dev", "dave", "sara", "cleo")),
    *(_policy(one) for one in POLICIES[1:]),
    *(_ticket(one) for one in (Standing.CLOSED, Standing.MISSING, Standing.UNREACHABLE)),
)

_ASKERS = st.sampled_from(("dev", "dev", "dave", "sara"))
_TEMPLATES = st.sampled_from(("fix", "fix", "peek"))
_HOW = st.sampled_from(("plain", "plain", "emergency", "scheduled"))

REACHED: Counter[str] = Counter()
"""How often what was come to, over all histories: what is never reached is not tried."""


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.world = World(watch=self.book.watch, check_effects=self.book.effects)
        self.true_s = START_S
        self.off_s = 0.0
        """By how much the broker's clock is wrong."""
        self.pulls = 0
        self.world.tickets[TICKET] = TicketFound(ticket=TICKET, standing=Standing.OPEN)

    @initialize(asks=st.lists(st.tuples(_ASKERS, _TEMPLATES, _HOW), min_size=2, max_size=5), goes_on=ANY)
    def begin(self, asks: list[tuple[str, str, str]], goes_on: int) -> None:
        for by, template, how in asks:
            self.ask(by, template, how, None, 60, "", is_counted_late=False)
        for number in range(goes_on % 20):
            self.carry_on(number, 1)

    # What people do

    @rule(
        by=_ASKERS,
        template=_TEMPLATES,
        how=_HOW,
        duration_s=st.sampled_from((None, 720, HOUR_S, 2 * HOUR_S, 9 * HOUR_S)),
        ahead_s=st.sampled_from((0, 60, 1000, 2 * HOUR_S)),
        ticket=st.sampled_from(("", "", TICKET)),
        is_counted_late=st.booleans(),
    )
    def ask(
        self,
        by: str,
        template: str,
        how: str,
        duration_s: int | None,
        ahead_s: int,
        ticket: str,
        is_counted_late: bool,
    ) -> None:
        if len(self.world.lives) >= _MOST_LIVES:
            return
        asked = Ask(
            template=template,
            cluster="prod-eu",
            namespace="team-a",
            parameters={"workload": "web"} if template == "fix" else {},
            duration_s=duration_s,
            start_s=self.world.now_s + ahead_s if how == "scheduled" else None,
            justification="it hangs",
            ticket=ticket if template == "fix" else "",
            emergency=how == "emergency",
        )
        # A store that did not hold others off while it counted: what is given is still no more than may be.
        usage = Usage() if is_counted_late else None
        number = len(self.world.lives)
        done = self.world.ask(asked, person(by), usage=usage)
        if isinstance(done, Step):
            before = dict(self.world.lives)
            self.world.ask(asked, person(by), number=number)
            assert self.world.lives == before, "I17"

    @precondition(lambda self: self.world.lives)
    @rule(which=ANY, times=st.integers(1, 4))
    def carry_on(self, which: int, times: int) -> None:
        """What is best for it, whoever has to do it: so that histories get somewhere."""
        self.world.unknown.clear()
        for _ in range(times):
            self._carry_on(which)

    @precondition(lambda self: self.world.lives)
    @rule(which=ANY, trouble=st.sampled_from(TROUBLES))
    def carry_on_in_trouble(self, which: int, trouble: Trouble) -> None:
        """Something is not as it was, at just the moment when it is to go on."""
        world = self.world
        world.unknown.clear()
        before = dict(world.identities), world.policy, dict(world.tickets)
        trouble(world)
        self._carry_on(which)
        world.unknown.clear()
        world.identities, world.policy, world.tickets = before

    def _carry_on(self, which: int) -> None:
        if not self.world.lives:
            return
        unfinished = [life for life in self.world.lives.values() if life.gone_at_s is None]
        life = unfinished[which % len(unfinished)] if unfinished else self.life(which)
        match life.stage:
            case Stage.PENDING:
                for name in ("sara", "cleo"):
                    if not any(one.person == person(name) for one in life.approvals):
                        self.do(life, Approve(by=person(name), digest=life.digest))
                        return
            case Stage.APPROVED:
                self.do(life, Activate(by=life.holder))
            case Stage.SCHEDULED:
                if life.request.start_s is not None and life.request.start_s > self.world.now_s:
                    self.pass_time_to(life.request.start_s)
                self.do(life, Look())
            case Stage.ACTIVATING | Stage.ENDING:
                self.world.settle()
            case Stage.ACTIVE:
                self.mint_for(life, life.holder)
            case Stage.ENDED if life.review is not None:
                self.judge(which, "rita", Outcome.JUSTIFIED)
            case _:
                pass

    @precondition(lambda self: self.world.lives)
    @rule(
        which=ANY,
        by=st.sampled_from(("sara", "cleo", "sean", "sara", "cleo", "deputy", "dev", "rita")),
        is_right=st.sampled_from((True, True, True, False)),
    )
    def approve(self, which: int, by: str, is_right: bool) -> None:
        life = self.life(which)
        digest = life.digest if is_right else FORGED
        before = self.world.lives[life.id]
        self.do(life, Approve(by=person(by), digest=digest))
        if not is_right:
            assert self.world.lives[life.id] == before, "I7"

    @precondition(lambda self: self.world.lives)
    @rule(
        which=ANY,
        by=st.sampled_from(("", "", "sara", "max", "stranger")),
        what=st.sampled_from(("deny", "withdraw", "activate", "activate", "return", "revoke", "outage")),
    )
    def command(self, which: int, by: str, what: str) -> None:
        life = self.life(which)
        one = person(by) if by else life.holder
        events: dict[str, Event] = {
            "deny": Deny(by=one, digest=life.digest, why="not now"),
            "withdraw": Withdraw(by=one),
            "activate": Activate(by=one),
            "return": Return(by=one),
            "revoke": Revoke(by=one, why="enough"),
            "outage": EndedInOutage(by=one, reason=EndReason.REVOKED, why="enough"),
        }
        self.do(life, events[what])

    @precondition(lambda self: self.world.lives)
    @rule(which=ANY, by=st.sampled_from(("rita", "rob", "dev", "max")), outcome=st.sampled_from(Outcome))
    def judge(self, which: int, by: str, outcome: Outcome) -> None:
        life = self.life(which)
        self.do(life, Judge(by=person(by), digest=life.digest, outcome=outcome, note="seen", ticket=TICKET))

    @precondition(lambda self: any(life.review for life in self.world.lives.values()))
    @rule(which=ANY, beside_s=st.sampled_from((-1.0, 0.0, 1.0)))
    def ask_again_by_its_review(self, which: int, beside_s: float) -> None:
        """In an emergency, when what was done in the last one is to be judged just now."""
        reviewed = [life for life in self.world.lives.values() if life.review]
        life = reviewed[which % len(reviewed)]
        if life.review is None:
            return
        self.world.settle()
        if life.review.due_s + beside_s > self.world.now_s:
            self.pass_time_to(life.review.due_s + beside_s)
        self.world.look()
        self.world.settle()
        self.ask(life.holder.subject, "fix", "emergency", None, 0, "", is_counted_late=False)

    @precondition(lambda self: self.active())
    @rule(which=ANY, duration_s=st.sampled_from((60, HOUR_S, 2 * HOUR_S)))
    def extend(self, which: int, duration_s: int) -> None:
        if len(self.world.lives) >= _MOST_LIVES:
            return
        life = self.active()[which % len(self.active())]
        asked = extension(life, duration_s=duration_s, justification="not done yet")
        self.world.ask(asked, life.holder if which % 5 else person("dave"))

    @precondition(lambda self: self.world.lives)
    @rule(which=ANY)
    def mint(self, which: int) -> None:
        life = self.life(which)
        self.mint_for(life, person("dave") if which > 35 else life.holder)

    def mint_for(self, life: Life, asker: Person) -> None:
        if abs(self.off_s) > SKEW_S:
            # Whoever asks the cluster for a credential has seen its clock.
            return
        done = self.world.mint(life.id, asker)
        if isinstance(done, Mint):
            self.book.minted(done, asker, self.world, self.true_s)
            REACHED["minted"] += 1

    # What clusters do, and what becomes of messages

    @rule(
        what=st.sampled_from(("send", "deliver", "deliver", "report", "report", "agent_dies", "settle")),
        number=ANY,
        is_kept=st.booleans(),
        fails=st.sampled_from((False, False, False, True)),
    )
    def messages(self, what: str, number: int, is_kept: bool, fails: bool) -> None:
        """One that is kept comes again."""
        world = self.world
        if what == "agent_dies":
            world.agent_dies()
        elif what == "settle":
            world.settle()
        elif what == "send" or not (world.sent or world.reported):
            world.send()
        elif world.reported and (what == "report" or not world.sent):
            number %= len(world.reported)
            grant, event = world.reported[number] if is_kept else world.reported.pop(number)
            self.do(world.lives[grant], event)
        else:
            number %= len(world.sent)
            world.deliver(world.sent[number] if is_kept else world.sent.pop(number), fails=fails)

    # Time

    @rule()
    def look(self) -> None:
        """Once that has been done, time alone changes nothing before a life is due."""
        self.world.look()
        self.world.look()
        for life in self.world.lives.values():
            around = self.world.around(life.id, Look())
            due = due_s(life)
            before_s = 1e10 if due is None else due - 0.001
            for moment_s in (self.world.now_s, before_s):
                # The end of the grant that it extends is nothing that it knows itself.
                if not life.request.extends and (due is None or moment_s < due):
                    found = step(life, Look(), moment_s, around)
                    assert isinstance(found, Step) and found.life is life, "it was not due"
            # What is to begin may be hindered all the same.
            begins = life.stage is Stage.SCHEDULED or life.request.emergency
            if due is not None and due > self.world.now_s and not begins:
                found = step(life, Look(), due, around)
                assert isinstance(found, Step) and found.life is not life, "it was due"

    @rule(
        seconds=st.sampled_from((0.001, 1, 30, 61, 61, 400, 400, 900, 1801, HOUR_S, 3 * HOUR_S, 25 * HOUR_S))
    )
    def pass_time(self, seconds: float) -> None:
        self.true_s += seconds
        self.world.now_s = self.true_s + self.off_s

    @precondition(lambda self: self.world.lives)
    @rule(
        which=ANY,
        what=st.sampled_from(("end_s", "window_end_s", "lapses_s", "max_end_s", "due_s", "start_s")),
        beside_s=st.sampled_from((-700.0, -650.0, -80.0, -0.001, 0.0, 0.001)),
    )
    def come_to(self, which: int, what: str, beside_s: float) -> None:
        """Close to where something changes."""
        life = self.life(which)
        moment_s = next(
            (value for one in (life, life.request, life.review) if (value := getattr(one, what, None))), None
        )
        if moment_s is not None and moment_s + beside_s > self.world.now_s:
            self.pass_time_to(moment_s + beside_s)

    @rule(off_s=st.sampled_from((0.0, 0.0, 0.0, 4.0, -4.0, 700.0, -700.0, -10_000.0, 5_000.0)))
    def set_clock(self, off_s: float) -> None:
        self.off_s = off_s
        self.world.now_s = self.true_s + off_s

    # What changes around them

    @rule(what=st.sampled_from(_CAN_BE_UNKNOWN))
    def cannot_be_found_out(self, what: str) -> None:
        self.world.unknown ^= {what}

    @rule(is_clear=st.booleans())
    def all_is_well_again(self, is_clear: bool) -> None:
        self.world.unknown.clear()
        self.world.identities = dict(PEOPLE)
        self.world.policy = POLICIES[0]
        if is_clear and self.world.switch.is_pulled:
            self.clear("max", is_late=False)
            self.clear("mia", is_late=False)
            assert not self.world.switch.is_pulled

    @rule(
        who=st.sampled_from(("dev", "dev", "dave", "sara", "cleo", "sean", "rita", "mia")),
        of=st.sampled_from(("", "", "dev on-call", "sre", "sec", "audit", None)),
    )
    def change_groups(self, who: str, of: str | None) -> None:
        """None: they leave."""
        one = person(who)
        if of is None:
            self.world.identities.pop(one, None)
        else:
            self.world.identities[one] = replace(PEOPLE[one], groups=frozenset(groups(of)))

    @rule(policy=st.sampled_from((POLICIES[0], *POLICIES)), standing=st.sampled_from(Standing))
    def change_policy(self, policy: Policy, standing: Standing) -> None:
        self.world.policy = policy
        self.world.tickets[TICKET] = TicketFound(ticket=TICKET, standing=standing)

    @rule(by=st.sampled_from(("max", "mia", "dev")), number=st.integers(0, 3))
    def pull(self, by: str, number: int) -> None:
        one = self.world.identities.get(person(by))
        if one is None or number:
            return
        done = pull(
            self.world.switch,
            one,
            "stop",
            pull_id=f"pull-{self.pulls}",
            now_s=self.world.now_s,
            policy=self.world.policy,
        )
        if isinstance(done, Refused):
            assert by == "dev" or self.world.policy.security.groups[0] not in one.groups
            return
        self.pulls += done is not self.world.switch
        self.world.switch = done
        self.world.unknown.clear()
        self.world.look()
        for life in self.world.lives.values():
            assert life.stage in FINAL or life.stage is Stage.ENDING, "I15"

    @precondition(lambda self: self.world.switch.is_pulled)
    @rule(by=st.sampled_from(("max", "mia", "mia", "dev")), is_late=st.sampled_from((False, False, True)))
    def clear(self, by: str, is_late: bool) -> None:
        one = self.world.identities.get(person(by))
        if one is None:
            return
        before = self.world.switch
        number = before.pulls - is_late
        done = clear(before, one, self.world.identities, pull=number, policy=self.world.policy)
        if isinstance(done, KillSwitch):
            assert not is_late
            assert done.is_pulled or len(set(done.clearing)) >= 2, "it takes two"
            self.world.switch = done

    @invariant()
    def at_any_time(self) -> None:
        self.book.at_any_time(self.world)

    def teardown(self) -> None:
        """Whatever happened: once everybody does what they are asked to and time has passed, all is over and gone (I11). And the log
        tells all of it (I12)."""
        self.world.unknown.clear()
        self.set_clock(0.0)
        self.pass_time(10_000 * HOUR_S)
        self.world.look()
        self.world.settle()
        assert not self.world.cluster.made
        facts: dict[str, list[Any]] = {}
        for fact in self.world.log:
            facts.setdefault(fact.grant, []).append(fact)
        for life in self.world.lives.values():
            assert life.stage in FINAL, "I11"
            assert replay(facts[life.id]) == life, "I12"
            REACHED.update(fact.action for fact in facts[life.id] if not fact.action.startswith("intends."))
            REACHED[f"{life.stage}: {life.end_reason}"] += 1

    def life(self, which: int) -> Life:
        return list(self.world.lives.values())[which % len(self.world.lives)]

    def active(self) -> list[Life]:
        return [life for life in self.world.lives.values() if life.stage is Stage.ACTIVE]

    def pass_time_to(self, moment_s: float) -> None:
        self.pass_time(moment_s - self.world.now_s)

    def do(self, life: Life, event: Event) -> None:
        by: Person | None = getattr(event, "by", None)
        if isinstance(event, Approve) and by is not None:
            self.book.said.add((life.id, event.digest, by))
        before = self.world.lives[life.id]
        done = self.world.put(life.id, event)
        after = self.world.lives[life.id]
        if isinstance(done, Refused):
            # Time may have come first.
            assert by is not None, "what a cluster tells is never refused"
            assert done.reason and "\n" not in done.reason
            return
        if after is before or isinstance(event, Look):
            return
        once_more = step(after, event, self.world.now_s, self.world.around(life.id, event))
        if isinstance(event, Made) and after.stage not in IN_CLUSTER:
            return
        if isinstance(once_more, Step) and once_more.again:
            # What came of it is over already; that is not the event's doing.
            return
        assert isinstance(once_more, Step) and once_more.life is after and not once_more.facts, "I17"


def run(count: int, *, seed: int | None = None, steps: int = 50) -> None:
    """Raises what a history came to that did not hold, made as short as it gets."""
    machine: Any = Histories if seed is None else hypothesis.seed(seed)(Histories)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=count,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=seed is None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    run(arguments.count, seed=arguments.seed)
    print(f"{arguments.count} histories in {time.monotonic() - began_s:.0f} s: all invariants held")
    for what, often in sorted(REACHED.items()):
        print(f"{often:8} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
