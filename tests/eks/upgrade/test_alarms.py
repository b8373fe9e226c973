"""What is ill and was not before."""

import msgspec
import pytest

from aliquot.eks.estate.estate import Issue
from aliquot.eks.upgrade.acts import soak
from aliquot.eks.upgrade.acts.soak import Soak
from aliquot.eks.upgrade.alarms import Alarm
from aliquot.eks.upgrade.counts import Counts
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Done, Hold


def alarm(of: str, code: str, *resources: str) -> Alarm:
    return Alarm(of, Issue(code, f"{code} it is", resources))


SUBNET, GPU = alarm("prod", "SubnetNotFound"), alarm("node group gpu", "NodeCreationFailure", "i-1")


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        ((), (), ""),
        ((), (SUBNET,), "prod: SubnetNotFound: SubnetNotFound it is"),
        ((SUBNET,), (SUBNET,), ""),
        ((SUBNET,), (), ""),
        ((SUBNET,), (SUBNET, GPU), "node group gpu: NodeCreationFailure: NodeCreationFailure it is"),
        # Other instances, after a roll, of what the group had before.
        ((GPU,), (alarm("node group gpu", "NodeCreationFailure", "i-2"),), ""),
        ((GPU,), (alarm("node group cpu", "NodeCreationFailure"),), "node group cpu: NodeCreationFailure"),
        # A run that was begun before anybody looked.
        (None, (SUBNET,), "prod: SubnetNotFound"),
    ],
)
def test_a_soak_holds_on_what_is_new(
    before: tuple[Alarm, ...] | None, now: tuple[Alarm, ...], held: str
) -> None:
    kept = {} if before is None else {"counts/1.32": msgspec.to_builtins(Counts(alarms=before))}
    attempt = Attempt(run="r", step="s", token="t", before=(), began_s=0.0, now_s=3600.0, kept=kept)
    said = soak.judged(Soak("prod", 3600.0, "1.32"), soak.Seen(alarms=now), attempt)
    if held:
        assert isinstance(said, Hold)
        assert said.why.startswith(f"prod is not well: {held}")
    else:
        assert isinstance(said, Done)
        assert ("as before the hop" in said.told) == bool(now)
