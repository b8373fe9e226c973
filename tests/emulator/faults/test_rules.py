from random import Random

import pytest

from aliquot.emulator.faults.rules import NOTHING, Cut, Error, Rule, Rules, Struck, WatchFault
from aliquot.emulator.http.request import parse

PATHS = {
    "list": ("GET", "/api/v1/namespaces/default/pods", ""),
    "watch": ("GET", "/api/v1/namespaces/default/pods", "watch=1"),
    "all": ("GET", "/api/v1/pods", ""),
    "status": ("PATCH", "/api/v1/namespaces/default/pods/p/status", ""),
    "deployment": ("POST", "/apis/apps/v1/namespaces/default/deployments", ""),
}
REFUSED = Error(status=503)


def strikes(rule: Rule, request: str, user: str = "alice") -> bool:
    return Rules([rule]).strike(parse(*PATHS[request]), user, Random(1)) is not NOTHING


@pytest.mark.parametrize(
    ("who", "struck"),
    [
        ({}, ["list", "watch", "all", "status", "deployment"]),
        ({"verbs": ("list", "watch")}, ["list", "watch", "all"]),
        ({"resources": ("pods",)}, ["list", "watch", "all"]),
        ({"resources": ("pods/status",)}, ["status"]),
        ({"resources": ("pods*",)}, ["list", "watch", "all", "status"]),
        ({"resources": ("deployments.apps",)}, ["deployment"]),
        ({"resources": ("*.apps",)}, ["deployment"]),
        ({"namespaces": ("default",)}, ["list", "watch", "status", "deployment"]),
        ({"namespaces": ("",)}, ["all"]),
        ({"users": ("a*",)}, ["list", "watch", "all", "status", "deployment"]),
        ({"users": ("bob",)}, []),
        ({"verbs": ("list",), "users": ("bob", "alice"), "namespaces": ("default",)}, ["list"]),
    ],
    ids=str,
)
def test_whom_a_rule_is_about(who: dict[str, tuple[str, ...]], struck: list[str]) -> None:
    rule = Rule(
        error=REFUSED,
        verbs=who.get("verbs", ()),
        resources=who.get("resources", ()),
        namespaces=who.get("namespaces", ()),
        users=who.get("users", ()),
    )
    assert [request for request in PATHS if strikes(rule, request)] == struck


def test_the_next_n() -> None:
    rules = Rules([Rule(error=REFUSED, times=2, verbs=("list",))])
    asked = ["watch", "list", "list", "list"]
    found = [rules.strike(parse(*PATHS[request]), "", Random(1)).error for request in asked]
    assert found == [None, REFUSED, REFUSED, None]


def test_a_share_is_drawn_from_the_seed() -> None:
    def draw(seed: int) -> list[bool]:
        rules, rng = Rules([Rule(cut=Cut.ANSWER, probability=0.3)]), Random(seed)
        return [rules.strike(parse(*PATHS["list"]), "", rng).cut is Cut.ANSWER for _ in range(1000)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert 250 < sum(draw(1)) < 350


def test_delays_add_up_and_the_first_refusal_ends_it() -> None:
    late = WatchFault(lag_seconds=1)
    rules = [
        Rule(delay_seconds=1),
        Rule(delay_seconds=2, jitter_seconds=1),
        Rule(watch=late),
        Rule(verbs=("watch",), error=REFUSED),
        Rule(delay_seconds=10, cut=Cut.REQUEST),
    ]
    watched = Rules(rules).strike(parse(*PATHS["watch"]), "", Random(1))
    assert (watched.error, watched.cut) == (REFUSED, None)
    assert 3 <= watched.delay_s <= 4
    assert Rules(rules[:3]).strike(parse(*PATHS["watch"]), "", Random(1)) == Struck(
        watched.delay_s, watch=late
    )
    assert Rules(rules[2:3]).strike(parse(*PATHS["list"]), "", Random(1)) is NOTHING
