"""AWS' time is told by its answers."""

from email.utils import formatdate

from aliquot.eks.aws.aws_clock import AwsClock


class Wall:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def now(self) -> float:
        return self.now_s


def test_it_is_ours_until_aws_says_otherwise() -> None:
    wall = Wall()
    clock = AwsClock(wall)
    assert clock.now() == wall.now_s
    clock.hear(formatdate(wall.now_s - 86_400, usegmt=True))
    assert clock.now() == wall.now_s - 86_400
    wall.now_s += 60
    assert clock.now() == wall.now_s - 86_400
    for nonsense in ("", "yesterday", "Thu, 32 Oct 2026 08:00:00 GMT"):
        clock.hear(nonsense)
    assert clock.now() == wall.now_s - 86_400
