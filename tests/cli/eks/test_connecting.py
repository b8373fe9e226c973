import click
import pytest

from aliquot.cli.eks.connecting import connect


@pytest.mark.parametrize("url", ["nonsense", "ftp://a", "http://", "http://a b", "http://a:port", "//a"])
def test_an_endpoint_that_is_none_is_one_line(url: str) -> None:
    with pytest.raises(click.ClickException, match="is no address of AWS: write it as http://"):
        connect("eu-west-1", None, url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4566", "https://[::1]:80/x", "https://vpce-1.eks.eu-west-1.vpce.amazonaws.com"])  # fmt: skip
def test_an_endpoint(url: str) -> None:
    connect("eu-west-1", None, url)
