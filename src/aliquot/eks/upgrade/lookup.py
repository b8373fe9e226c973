"""Which runs somebody means: by a cluster's name, its ARN, or a run's own id. Pure."""

from collections.abc import Sequence

from aliquot.eks.aws import arns
from aliquot.eks.upgrade.journal import DONE, Held, Run


def runs_of(runs: Sequence[Run], word: str, region: str | None = None) -> list[Run]:
    """Of one cluster, in their order. `region`: in which a cluster of that name is meant. Raises Held where it may be of several clusters."""
    found = [one for one in runs if _is_of(one, word, region)]
    clusters = sorted({one.arn or f"{one.cluster} of nobody knows which region" for one in found})
    if len(clusters) > 1:
        raise Held(
            f"{word} is {len(clusters)} clusters here: {', '.join(clusters)}; give --region, or the ARN"
        )
    return found


def going(runs: Sequence[Run], word: str, region: str | None = None) -> Run | None:
    """The one that is not over. Raises Held where it may be of several clusters."""
    return next(iter(runs_of([one for one in runs if not one.over], word, region)), None)


def led_to(runs: Sequence[Run], arn: str) -> Run | None:
    """The newest of this cluster all of whose steps are done."""
    return next(iter([one for one in runs if one.over == DONE and one.arn == arn][-1:]), None)


def elsewhere(runs: Sequence[Run], word: str) -> list[Run]:
    """Those that go on of clusters of that name, wherever they are."""
    name = arns.name(word) if arns.is_arn(word) else word
    return [one for one in runs if one.cluster == name and not one.over]


def _is_of(run: Run, word: str, region: str | None) -> bool:
    if word == run.id:
        return True
    if arns.is_arn(word):
        return word == run.arn or (not run.arn and arns.name(word) == run.cluster)
    return word == run.cluster and (not region or run.region in (region, ""))
