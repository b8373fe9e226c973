"""Every part holds the rights that its work takes, and none of them is an administrator."""

from collections import Counter

import pytest

from aliquot.emulator.rbac import Attributes, Authorizer, Decision, User
from tests.simulation.world import simulate

pytestmark = pytest.mark.simulation

ADMINISTRATORS = {"system:apiserver", "system:aliquot:up", "user"}


def test_nobody_is_refused_and_nobody_is_almighty(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: Counter[str] = Counter()
    almighty: set[str] = set()
    authorize = Authorizer.authorize

    def watched(self: Authorizer, user: User, asked: Attributes) -> Decision:
        decision = authorize(self, user, asked)
        if not decision.allowed:
            refused[f"{user.name}: {asked.verb} {asked.full_resource}.{asked.group} {decision.reason}"] += 1
        if "system:masters" in user.groups:
            almighty.add(user.name)
        return decision

    monkeypatch.setattr(Authorizer, "authorize", watched)
    simulate(3, storm_s=30.0)
    assert not refused
    assert almighty <= ADMINISTRATORS
