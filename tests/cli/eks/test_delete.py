import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from aliquot.cli.eks.connecting import AwsOptions
from aliquot.cli.eks.delete import _nobody_upgrades
from aliquot.cli.eks.group import eks
from aliquot.cli.eks.records import RecordOptions
from aliquot.eks.upgrade.journal import Journal


@pytest.mark.parametrize("name", ["", "*", "pro?", "a/b", "../prod", "a b", "-", "prod\n"])
def test_what_is_no_name_is_no_pattern_either(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """EC2 would take `*` in the value of a tag for whatever there is."""

    def connect(*_: object) -> None:
        raise AssertionError("AWS is not asked")

    monkeypatch.setattr(AwsOptions, "connect", connect)
    result = CliRunner().invoke(eks, ["delete", "--yes", "--", name])
    assert result.exit_code == 2
    assert f"{name!r} is no name of a cluster" in result.stderr


ARN = "arn:aws:eks:eu-west-1:123456789012:cluster/prod"


@pytest.mark.parametrize(
    ("cluster", "region", "over", "goes"),
    [
        ("prod", "eu-west-1", False, False),
        ("prod", "eu-west-1", True, True),
        ("prod", "us-east-1", False, True),
        ("stage", "eu-west-1", False, True),
    ],
)
def test_a_cluster_in_the_middle_of_a_run_stays(
    cluster: str, region: str, over: bool, goes: bool, tmp_path: Path
) -> None:
    records = RecordOptions(data=tmp_path)
    _nobody_upgrades(records, cluster, region)
    assert not list(tmp_path.iterdir())
    journal = Journal(f"sqlite:///{tmp_path}/journal.db")
    journal.begin("run-1", "prod", b"plan", ["a"], 1.0, arn=ARN)
    if over:
        journal.lease("run-1", "me", 1.0, 60.0)
        journal.end("run-1", "me", "done", 2.0)
    journal.close()
    if goes:
        _nobody_upgrades(records, cluster, region)
    else:
        with pytest.raises(click.ClickException, match=re.escape("prod is in run run-1, which is not over")):
            _nobody_upgrades(records, cluster, region)
