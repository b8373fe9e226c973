"""Never two leaders at once: with lost requests, lost answers, pulled cables and clocks years apart."""

import asyncio
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.clock import VirtualClock
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.election import LeaderElection
from aliquot.kube.resources import LEASES
from tests.kube.fake_api import Cut, FakeApi, Refused, Unplugged, virtual


class Candidate:
    """One process that stands for election; `Ballot` sees who leads when."""

    def __init__(
        self, api: FakeApi, name: str, ballot: "Ballot", *, clock_start: float = 1_767_225_600.0
    ) -> None:
        self.name = name
        self.cable = Unplugged(AsgiTransport(api, name))
        client = Client(self.cable, clock=VirtualClock(clock_start), rng=random.Random(name))
        self.election = LeaderElection(client, namespace="kube-system", name="test", identity=name)
        self._ballot = ballot
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self.election.run(self._lead))

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _lead(self) -> None:
        self._ballot.enter(self)
        try:
            await asyncio.Event().wait()
        finally:
            self._ballot.leave(self)


class Ballot:
    def __init__(self) -> None:
        self.leading: list[Candidate] = []
        self.candidates: list[Candidate] = []
        self.terms: list[str] = []
        self.problems: list[str] = []

    def enter(self, candidate: Candidate) -> None:
        self.leading.append(candidate)
        self.terms.append(candidate.name)
        self.check()

    def leave(self, candidate: Candidate) -> None:
        self.leading.remove(candidate)

    def check(self) -> None:
        # Kept and raised by the test: raising here would only look like a leader that failed.
        if len(self.leading) > 1:
            self.problems.append(f"leading at once: {[candidate.name for candidate in self.leading]}")
        sure = [candidate.name for candidate in self.candidates if candidate.election.is_leader()]
        if len(sure) > 1:
            self.problems.append(f"sure of leading at once: {sure}")


def election(names: str = "ab", **clock_starts: float) -> tuple[FakeApi, Ballot, list[Candidate]]:
    api, ballot = FakeApi(), Ballot()
    ballot.candidates = [
        Candidate(api, name, ballot, clock_start=clock_starts.get(name, 1_767_225_600.0)) for name in names
    ]
    return api, ballot, ballot.candidates


async def stop_all(candidates: list[Candidate]) -> None:
    for candidate in candidates:
        await candidate.stop()


def test_one_of_two_leads_and_keeps_leading() -> None:
    async def main() -> None:
        _, ballot, candidates = election()
        for candidate in candidates:
            candidate.start()
        await asyncio.sleep(300)
        assert len(ballot.leading) == 1
        assert len(ballot.terms) == 1
        assert all(candidate.election.leader == ballot.terms[0] for candidate in candidates)
        await stop_all(candidates)

    virtual(main())


def test_a_leader_that_stops_hands_over_at_once() -> None:
    async def main() -> None:
        api, ballot, (a, b) = election()
        a.start()
        await asyncio.sleep(10)
        b.start()
        await asyncio.sleep(10)
        await a.stop()
        assert api.objects(LEASES)["kube-system/test"]["spec"]["holderIdentity"] == ""
        await asyncio.sleep(3)
        assert ballot.terms == ["a", "b"]
        assert api.objects(LEASES)["kube-system/test"]["spec"]["leaseTransitions"] >= 1
        await b.stop()

    virtual(main())


def test_a_leader_that_vanishes_is_replaced_after_its_lease() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        _, ballot, (a, b) = election()
        a.start()
        await asyncio.sleep(10)
        b.start()
        await asyncio.sleep(10)
        a.cable.plugged = False
        pulled = loop.time()
        while not (ballot.leading and ballot.leading[0] is b):
            await asyncio.sleep(0.1)
            ballot.check()
        # Unchanged for the whole lease since the last renewal that got through, and two polls.
        assert 12 < loop.time() - pulled < 20
        assert not ballot.problems
        await stop_all([a, b])

    virtual(main())


@pytest.mark.parametrize("years", [-30, 30])
def test_clocks_that_disagree_do_not_matter(years: int) -> None:
    async def main() -> None:
        _, ballot, (a, b) = election(b=1_767_225_600.0 + years * 31_557_600)
        a.start()
        await asyncio.sleep(10)
        b.start()
        await asyncio.sleep(300)
        assert ballot.terms == ["a"]
        await stop_all([a, b])

    virtual(main())


def test_a_holder_whose_wall_clock_leaps_is_no_longer_sure() -> None:
    async def main() -> None:
        one, clock = leaping()

        async def lead() -> None:
            assert one.is_leader()
            clock.leap = 60.0  # the host slept for a minute, and loop time did not see it
            assert not one.is_leader()

        await one.run(lead)

    virtual(main())


def test_after_a_leap_the_work_begins_anew_for_what_was_refused_is_forgotten() -> None:
    async def main() -> None:
        one, clock = leaping()
        begun: list[float] = []

        async def lead() -> None:
            begun.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.5)
            clock.leap = 60.0
            await asyncio.sleep(30)

        await one.run(lead)
        assert len(begun) == 2
        assert begun[1] - begun[0] < 5

    virtual(main())


class Leaping(VirtualClock):
    leap = 0.0

    def now(self) -> float:
        return super().now() + self.leap


def leaping() -> tuple[LeaderElection, Leaping]:
    clock = Leaping()
    client = Client(AsgiTransport(FakeApi(), "a"), clock=clock, rng=random.Random(1))
    return LeaderElection(client, namespace="x", name="test", identity="a"), clock


def test_run_ends_with_the_work_and_gives_the_lease_back() -> None:
    async def main() -> None:
        api, _, (a, _) = election()

        async def lead() -> None:
            await asyncio.sleep(30)

        await a.election.run(lead)
        assert api.objects(LEASES)["kube-system/test"]["spec"]["holderIdentity"] == ""
        assert not a.election.is_leader()

    virtual(main())


def test_an_error_of_the_work_ends_run_and_gives_the_lease_back() -> None:
    async def main() -> None:
        api, _, (a, _) = election()

        async def lead() -> None:
            raise ValueError("broken")

        with pytest.raises(ExceptionGroup) as caught:
            await a.election.run(lead)
        assert caught.group_contains(ValueError)
        assert api.objects(LEASES)["kube-system/test"]["spec"]["holderIdentity"] == ""

    virtual(main())


def test_a_renewal_whose_answer_was_lost_does_not_cost_the_leadership() -> None:
    async def main() -> None:
        api, ballot, (a, _) = election()
        a.start()
        await asyncio.sleep(10)
        lost = 0

        async def lose(method: str, path: str) -> None:
            nonlocal lost
            if method == "PATCH" and lost < 3:
                lost += 1
                raise Cut

        api.answer_fault = lose
        await asyncio.sleep(60)
        assert lost == 3
        assert ballot.terms == ["a"]
        await a.stop()

    virtual(main())


def test_a_lease_taken_without_knowing_it_is_used_at_once() -> None:
    async def main() -> None:
        api, ballot, (a, _) = election()

        async def lose(method: str, path: str) -> None:
            if method == "POST":
                raise Cut

        api.answer_fault = lose
        a.start()
        await asyncio.sleep(5)
        assert ballot.terms == ["a"]
        await a.stop()

    virtual(main())


def test_a_lease_taken_by_force_ends_the_leadership() -> None:
    async def main() -> None:
        api, ballot, (a, _) = election()
        a.start()
        await asyncio.sleep(10)
        lease = api.objects(LEASES)["kube-system/test"]
        api.put(LEASES, lease | {"spec": lease["spec"] | {"holderIdentity": "someone else"}})
        await asyncio.sleep(5)
        assert not ballot.leading
        await asyncio.sleep(30)
        assert ballot.terms == ["a", "a"]
        await a.stop()

    virtual(main())


faults = st.one_of(
    st.tuples(st.just("pull"), st.sampled_from("abc")),
    st.tuples(st.just("plug"), st.sampled_from("abc")),
    st.tuples(st.just("stop"), st.sampled_from("abc")),
    st.tuples(st.just("start"), st.sampled_from("abc")),
    st.tuples(st.just("errors"), st.integers(1, 10)),
    st.tuples(st.just("lost answers"), st.integers(1, 10)),
    st.tuples(st.just("slow"), st.floats(0.1, 14)),
    st.tuples(st.just("wait"), st.floats(0.1, 20)),
    st.tuples(st.just("wait"), st.floats(0.1, 20)),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(faults, max_size=25), st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
def test_never_two_leaders_and_in_the_end_one(
    script: list[tuple[str, str | float]], skews: list[float]
) -> None:
    async def main() -> None:
        starts = {name: 1_767_225_600.0 + skew for name, skew in zip("abc", skews, strict=True)}
        api, ballot, candidates = election("abc", **starts)
        by_name = {candidate.name: candidate for candidate in candidates}
        left = {"errors": 0.0, "lost answers": 0.0, "slow": 0.0}

        async def before(method: str, path: str) -> None:
            await asyncio.sleep(left["slow"])
            if left["errors"] > 0:
                left["errors"] -= 1
                raise Refused(500, "", "no")

        async def after(method: str, path: str) -> None:
            if left["lost answers"] > 0:
                left["lost answers"] -= 1
                raise Cut

        api.fault, api.answer_fault = before, after

        async def look() -> None:
            while True:
                ballot.check()
                await asyncio.sleep(0.05)

        looking = asyncio.create_task(look())
        for candidate in candidates:
            candidate.start()
        for step, argument in script:
            match step, argument:
                case (("pull" | "plug"), str(name)):
                    by_name[name].cable.plugged = step == "plug"
                case "stop", str(name):
                    await by_name[name].stop()
                case "start", str(name):
                    by_name[name].start()
                case "wait", float(seconds):
                    await asyncio.sleep(seconds)
                case _, int() | float():
                    left[step] = float(argument)
        left = {"errors": 0.0, "lost answers": 0.0, "slow": 0.0}
        for candidate in candidates:
            candidate.cable.plugged = True
            candidate.start()
        await asyncio.sleep(90)
        assert len(ballot.leading) == 1
        looking.cancel()
        await stop_all(candidates)
        assert not ballot.problems

    virtual(main())
