"""What the preflight of a hop makes of groups that its plan rolls otherwise than they are configured."""

from aliquot.eks.estate.estate import Reservation, Template
from aliquot.eks.upgrade.acts.preflight import Preflight, judged
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Done, Hold
from tests.eks.plan.estates import M131, M132, NOW_S, estate, gpus

RESERVED = estate(
    gpus("gpu", template="lt-1", template_version="1"),
    templates=(Template(id="lt-1", version="1", reservation="cr-1"),),
    reservations=(Reservation(id="cr-1", instance_type="p5.48xlarge", total=2, available=0),),
)
ATTEMPT = Attempt(run="r", step="1.32/preflight", token="t", before=(), began_s=NOW_S, now_s=NOW_S)


def preflight(*minimal: str) -> Preflight:
    return Preflight(cluster="prod", now=M131, to=M132, unchecked_passes=True, minimal=minimal)


def test_capacity_that_cannot_surge_holds_unless_old_nodes_go_first() -> None:
    held = judged(preflight(), RESERVED, ATTEMPT)
    assert isinstance(held, Hold)
    assert "cr-1 has 0 of 2 free: they never come" in held.why
    assert isinstance(judged(preflight("gpu"), RESERVED, ATTEMPT), Done)
