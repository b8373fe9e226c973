"""Credentials: what is asked for, what is taken of the answer, and what is refused."""

import asyncio
from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest

from aliquot.access.cluster import credentials, making, skew
from aliquot.access.cluster.credentials import Credential, NotMinted
from aliquot.access.cluster.naming import ENDS_AT, NAMESPACE, object_name
from aliquot.access.core import times
from aliquot.clock import rfc3339, rfc3339_milli
from aliquot.emulator.faults import Cut
from aliquot.emulator.faults import Rule as Fault
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import SECRETS
from tests.access.cluster.world import START_S, World, grant_id, run, spec

ID = grant_id(1)
END_S = START_S + 3600.0
EXPIRES_S = START_S + 600


def token(**changed: Any) -> str:
    claims: dict[str, Any] = {
        "exp": EXPIRES_S,
        "jti": "j",
        "sub": f"system:serviceaccount:{NAMESPACE}:{object_name(ID)}",
        "kubernetes.io": {"namespace": NAMESPACE, "secret": {"name": object_name(ID), "uid": "s"}},
    }
    payload = msgspec.json.encode(
        {key: value for key, value in (claims | changed).items() if value is not None}
    )
    return f"h.{urlsafe_b64encode(payload).decode().rstrip('=')}.s"


def test_what_was_asked_for_is_taken() -> None:
    taken = credentials.checked(token(), rfc3339(EXPIRES_S), END_S, "s", ID)
    assert (taken.expires_s, taken.id) == (EXPIRES_S, "JTI=j")
    assert taken.token not in repr(taken)


TOO_LATE_S = END_S - times.MARGIN_S + 1
BAD: list[tuple[str, str, str, float | None, str, str]] = [
    ("told too late", token(), rfc3339(TOO_LATE_S), END_S, "s", "would outlive"),
    ("longer than told", token(exp=TOO_LATE_S), rfc3339(EXPIRES_S), END_S, "s", "would outlive"),
    ("a year", token(exp=START_S + 365 * 86400), rfc3339(EXPIRES_S), END_S, "s", "would outlive"),
    ("no end", token(), rfc3339(EXPIRES_S), None, "s", "would outlive"),
    ("another Secret", token(), rfc3339(EXPIRES_S), END_S, "t", "not bound"),
    ("bound to nothing", token(**{"kubernetes.io": {"namespace": NAMESPACE}}), rfc3339(EXPIRES_S), END_S, "s", "can be read"),
    ("without an end", token(exp=None), rfc3339(EXPIRES_S), END_S, "s", "can be read"),
    ("another account", token(sub="system:serviceaccount:kube-system:x"), rfc3339(EXPIRES_S), END_S, "s", "not the account"),
    ("no token", "opaque", rfc3339(EXPIRES_S), END_S, "s", "can be read"),
    ("no time", token(), "soon", END_S, "s", "can be read"),
    ("empty", "", "", END_S, "s", "can be read"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "until", "end_s", "secret", "told"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_anything_else_is_thrown_away(
    given: str, until: str, end_s: float | None, secret: str, told: str
) -> None:
    with pytest.raises(NotMinted, match=told) as refused:
        credentials.checked(given, until, end_s, secret, ID)
    assert not given or given not in str(refused.value)


def test_a_credential_lives_for_as_short_as_kubernetes_lets_it() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        given = await credentials.mint(world.agent, spec())
        assert given.expires_s - world.clock.now() == pytest.approx(times.PREFERRED_S, abs=2)

    run(main)


def test_the_last_credential_is_given_in_time_or_not_at_all() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        last_s = END_S - times.TOKEN_FLOOR_S - times.MARGIN_S
        await asyncio.sleep(last_s - 1 - world.clock.now())
        given = await credentials.mint(world.agent, spec())
        assert given.expires_s + times.MARGIN_S <= END_S
        await asyncio.sleep(3)
        with pytest.raises(NotMinted, match="ends too soon"):
            await credentials.mint(world.agent, spec())

    run(main)


@pytest.mark.parametrize("offset_s", [-6.5, 6.5, 3600.0])
def test_clocks_that_differ_give_nothing(offset_s: float) -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        world.server_clock.offset_s = offset_s
        with pytest.raises(skew.ClocksDiffer, match="apart"):
            await credentials.mint(world.agent, spec())
        world.server_clock.offset_s = 0
        await credentials.mint(world.agent, spec())

    run(main)


@pytest.mark.parametrize("offset_s", [-3.5, 3.5])
def test_clocks_that_differ_a_little_do(offset_s: float) -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        await credentials.mint(world.agent, spec())

    run(main, offset_s=offset_s)


@pytest.mark.parametrize(
    ("before_s", "told_s", "after_s", "most_s"),
    [
        (100.5, 100.0, 100.6, 0.6),
        (100.0, 100.0, 100.0, 1.0),
        (100.0, 105.0, 100.1, 6.0),
        (100.0, 95.0, 100.1, 5.1),
        (100.0, 100.0, 106.0, 6.0),
    ],
)
def test_two_clocks_differ_at_most(before_s: float, told_s: float, after_s: float, most_s: float) -> None:
    assert skew.most(before_s, told_s, after_s) == pytest.approx(most_s)


def test_a_slow_answer_tells_nothing_about_a_clock() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        world.weather.app.set_rules(Fault(delay_seconds=6.0))
        with pytest.raises(skew.ClocksDiffer):
            await credentials.mint(world.agent, spec())

    run(main)


def test_what_is_revoked_gets_nothing() -> None:
    async def main(world: World) -> None:
        with pytest.raises(NotMinted, match="not made"):
            await credentials.mint(world.agent, spec())
        await making.make(world.agent, spec())
        await making.revoke(world.agent, ID)
        with pytest.raises(NotMinted, match="has been revoked"):
            await credentials.mint(world.agent, spec())

    run(main)


def test_the_earlier_end_counts() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        # An end that is moved on has not come to the cluster's objects yet; or it was moved back there.
        later = spec(end_s=END_S + 3000)
        await asyncio.sleep(END_S - 630 - world.clock.now())
        with pytest.raises(NotMinted, match="ends too soon"):
            await credentials.mint(world.agent, later)
        await making.make(world.agent, later)
        assert isinstance(await credentials.mint(world.agent, later), Credential)

    run(main)


@pytest.mark.parametrize("annotations", [{ENDS_AT: None}, {ENDS_AT: "whenever"}])
def test_without_an_end_that_can_be_read_there_is_none(annotations: dict[str, Any]) -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        await world.root.patch(
            SECRETS, object_name(ID), {"metadata": {"annotations": annotations}}, NAMESPACE
        )
        with pytest.raises(NotMinted):
            await credentials.mint(world.agent, spec())

    run(main, guarded=False)


def test_revocation_in_the_midst_of_minting_leaves_no_credential_that_works() -> None:
    async def main(world: World) -> None:
        for delay_s in (0.0, 0.5, 1.5, 2.5, 4.0):
            await making.make(world.agent, spec())
            world.weather.app.set_rules(Fault(delay_seconds=1.0))
            minting = asyncio.create_task(credentials.mint(world.agent, spec()))
            await asyncio.sleep(delay_s)
            world.weather.calm()
            await making.revoke(world.agent, ID)
            revoked_s = world.clock.now()
            found = (await asyncio.gather(minting, return_exceptions=True))[0]
            await asyncio.sleep(max(0.0, revoked_s + times.WORST_AFTER_REVOKE_S - world.clock.now()))
            if isinstance(found, Credential):
                assert await world.status_with(found.token) == 401
            else:
                assert isinstance(found, NotMinted)
            await making.remove(world.agent, ID, "shop")

    run(main)


def test_an_answer_that_is_cut_off_gives_none() -> None:
    async def main(world: World) -> None:
        await making.make(world.agent, spec())
        world.weather.app.set_rules(Fault(verbs=("create",), cut=Cut.ANSWER))
        with pytest.raises(ApiError):
            await credentials.mint(world.agent, spec())

    run(main)


def test_the_margin_is_of_what_kubernetes_adds() -> None:
    assert times.MARGIN_S == times.LEEWAY_S + times.CACHE_S + times.MOST_SKEW_S
    assert rfc3339_milli(END_S).endswith(".000Z")
