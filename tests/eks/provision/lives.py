"""A cluster that is made, and taken away, by processes that die, at an AWS that throttles, forgets to answer and tells late of what it has: from a seed, on virtual time.

`python -m tests.eks.provision.lives --count 100`
"""

import argparse
import random
from collections.abc import Awaitable, Callable

from aliquot.eks.aws.api import Failure
from aliquot.eks.provision.creating import Creation
from aliquot.eks.provision.deleting import Deletion
from tests.eks.provision.accounts import Aws, Killed, account, lost, pause, run
from tests.eks.provision.files import FULL
from tests.eks.provision.making import NAMES, left, ours, plan

_MOST_LIVES = 500
_READS = ("Describe", "List", "Get")
_READS_ARE_SAFER = 40
ONCE = {"vpc": 1, "gateway": 1, "address": 1, "nat": 1, "subnet": 6, "table": 4, "template": 2}


def live(seed: int) -> int:
    """Deaths on the way. Raises AssertionError where it is not as it has to be."""
    rng = random.Random(seed)
    with account() as aws:
        aws.lag_s = rng.choice([0.0, 2.0, 4.0])
        deaths = run(_live(aws, rng))
        _judge(aws)
        deaths += run(_end(aws, rng))
        assert left(aws) == []
    return deaths


async def _live(aws: Aws, rng: random.Random) -> int:
    resources = (await plan(aws, FULL)).resources

    async def make() -> None:
        await Creation(aws, "prod", pause=pause, tell=lambda line: None).run(resources)

    deaths = await _lives(aws, rng, make)
    aws.calls.clear()
    await make()
    assert aws.writes().total() == 0, aws.writes()
    return deaths


async def _end(aws: Aws, rng: random.Random) -> int:
    async def take_away() -> None:
        await Deletion(aws, NAMES, pause=pause, tell=lambda line: None).run()

    return await _lives(aws, rng, take_away)


async def _lives(aws: Aws, rng: random.Random, work: Callable[[], Awaitable[None]]) -> int:
    """Until one of them does not die."""

    def trouble(service: str, operation: str) -> None:
        roll = rng.random() * (_READS_ARE_SAFER if operation.startswith(_READS) else 1)
        if roll < 0.05:
            raise Killed
        if roll < 0.15:
            raise lost(service, operation)
        if roll < 0.25:
            raise Failure(service, operation, "ThrottlingException", "Rate exceeded")

    for deaths in range(_MOST_LIVES):
        aws.before, aws.after = trouble, trouble
        try:
            await work()
        except Killed:
            continue
        aws.before = aws.after = lambda service, operation: None
        return deaths
    raise AssertionError("it comes to no end")


def _judge(aws: Aws) -> None:
    assert {kind: len(ours(aws, kind)) for kind in ONCE} == ONCE
    assert len(aws.client("kms").list_keys()["Keys"]) == 1
    assert len(aws.client("iam").list_roles(PathPrefix="/aliquot/")["Roles"]) == 5
    cluster = aws.world.clusters["prod"]
    of_addons = [
        one for addon in cluster.addons.values() for one in addon.told.get("podIdentityAssociations", ())
    ]
    assert len(cluster.identities) == 1 + len(of_addons)
    assert set(cluster.nodegroups) == {"cpu", "gpu"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args()
    deaths = sum(live(seed) for seed in range(options.first, options.first + options.count))
    print(
        f"{options.count} clusters were made once each, and nothing of them is left; {deaths} deaths on the way"
    )


if __name__ == "__main__":
    main()
