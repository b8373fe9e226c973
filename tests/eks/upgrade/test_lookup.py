"""Which run somebody means, of clusters of one name in two regions and two accounts."""

import pytest
from msgspec.structs import replace

from aliquot.eks.upgrade import lookup
from aliquot.eks.upgrade.journal import Held, Run


def arn(region: str, name: str = "prod", account: int = 1) -> str:
    return f"arn:aws:eks:{region}:{account:012d}:cluster/{name}"


def run(id_: str, of: str, over: str = "") -> Run:
    name = of.rpartition("/")[2] or "prod"
    return Run(id=id_, cluster=name, arn=of, began_s=0.0, over=over, paused="", owner="", until_s=0.0)


EU, US, OTHER, DEV = arn("eu-west-1"), arn("us-east-1"), arn("eu-west-1", account=2), arn("eu-west-1", "dev")
RUNS = [run("eu-1", EU, "done"), run("eu-2", EU), run("us-1", US), run("dev-1", DEV)]


@pytest.mark.parametrize(
    ("word", "region", "found"),
    [
        ("dev", None, ["dev-1"]),
        ("dev", "us-east-1", []),
        ("prod", "eu-west-1", ["eu-1", "eu-2"]),
        ("prod", "mars", []),
        (US, None, ["us-1"]),
        (OTHER, None, []),
        ("us-1", None, ["us-1"]),
        ("nobody", None, []),
    ],
)
def test_it_is_of_one_cluster(word: str, region: str | None, found: list[str]) -> None:
    assert [one.id for one in lookup.runs_of(RUNS, word, region)] == found


def test_of_several_clusters_each_is_named() -> None:
    with pytest.raises(Held) as refused:
        lookup.runs_of(RUNS, "prod")
    assert str(refused.value) == f"prod is 2 clusters here: {EU}, {US}; give --region, or the ARN"
    with pytest.raises(Held, match="give --region, or the ARN"):
        lookup.runs_of([*RUNS, run("other-1", OTHER)], "prod", "eu-west-1")


def test_only_what_goes_on_counts_where_a_run_is_to_go_on() -> None:
    over = [replace(one, over="done") if one.id == "us-1" else one for one in RUNS]
    found = lookup.going(over, "prod")
    assert found is not None
    assert found.id == "eu-2"
    assert lookup.going(over, US) is None
    assert [one.id for one in lookup.elsewhere(over, US)] == ["eu-2"]


@pytest.mark.parametrize(("word", "region"), [("prod", None), ("prod", "eu-west-1"), (EU, None)])
def test_a_run_of_nobody_knows_which_region_is_of_any(word: str, region: str | None) -> None:
    (found,) = lookup.runs_of([run("old", "")], word, region)
    assert found.id == "old"
    with pytest.raises(Held, match="2 clusters here"):
        lookup.runs_of([run("old", ""), run("eu-2", EU)], "prod", "eu-west-1")
