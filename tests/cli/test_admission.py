import socket

import pytest
from click.testing import CliRunner

from aliquot.cli.admission import _where
from aliquot.cli.main import cli


@pytest.mark.parametrize(
    ("url", "client_config", "host"),
    [
        (
            None,
            {"service": {"name": "s", "namespace": "n", "path": "/mutate", "port": 443}},
            "s.n.svc",
        ),
        ("https://127.0.0.1", {"url": "https://127.0.0.1:8443/mutate"}, "127.0.0.1"),
        ("https://gpus.example:444/", {"url": "https://gpus.example:444/mutate"}, "gpus.example"),
        ("https://[::1]", {"url": "https://[::1]:8443/mutate"}, "::1"),
    ],
)
def test_where_the_api_server_finds_it(url: str | None, client_config: object, host: str) -> None:
    found = _where(url, "s", "n", 8443)
    assert (found.client_config, found.host) == (client_config, host)


@pytest.mark.parametrize("url", ["http://a", "a.example", "https://", "https://a/else"])
def test_a_url_that_is_none(url: str) -> None:
    result = CliRunner().invoke(cli, ["admission", "serve", "--port", "0", "--url", url])
    assert result.exit_code == 1
    assert f"--url '{url}' is not https://HOST[:PORT]" in result.output


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(cli, ["admission", "serve", "--host", "127.0.0.1", "--port", port])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.output
