import pytest
from click.testing import CliRunner

from aliquot.cli.eks.connecting import AwsOptions
from aliquot.cli.eks.group import eks


@pytest.mark.parametrize("name", ["", "*", "pro?", "a/b", "../prod", "a b", "-", "prod\n"])
def test_what_is_no_name_is_no_pattern_either(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """EC2 would take `*` in the value of a tag for whatever there is."""

    def connect(*_: object) -> None:
        raise AssertionError("AWS is not asked")

    monkeypatch.setattr(AwsOptions, "connect", connect)
    result = CliRunner().invoke(eks, ["delete", "--yes", "--", name])
    assert result.exit_code == 2
    assert f"{name!r} is no name of a cluster" in result.stderr
