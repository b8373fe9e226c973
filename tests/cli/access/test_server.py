"""`aliquot access server-objects`, as kubectl gets it."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aliquot.cli.access.group import access

CONFIG = """
database: postgresql://access@db.example.com/access
listen: 0.0.0.0:8443
tls: {certificateFile: tls.crt, keyFile: tls.key}
policyFile: policy.yaml
bindingsFile: who.yaml
templates: [templates]
logKeyFile: log.key
journal: /var/lib/aliquot/access.journal
clusters: [{name: one, kubeconfig: one.kubeconfig}]
identity: {keyFile: identity.key, kubernetes: [{cluster: one, issuer: one}]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    for name in ("policy.yaml", "who.yaml", "templates/shop.yaml", "templates/other.yaml"):
        (tmp_path / name).write_text(f"# {name}\nwords: {{}}\n")
    (tmp_path / "access.yaml").write_text(CONFIG)
    return tmp_path / "access.yaml"


def run(*args: object) -> Result:
    return CliRunner().invoke(access, ["server-objects", *map(str, args)])


def test_what_is_no_secret_is_in_it_and_what_is_only_named(config: Path) -> None:
    done = run(config)
    assert done.exit_code == 0, done.output
    found = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    data = found["ConfigMap"]["data"]
    assert data["access.yaml"] == CONFIG
    assert data["templates.shop.yaml"].startswith("# templates/shop.yaml")
    (command,) = done.stderr.splitlines()
    assert {one for one in command.split() if one.startswith("--from-file")} == {
        f"--from-file={name}={name}"
        for name in ("tls.crt", "tls.key", "log.key", "one.kubeconfig", "identity.key")
    }


def test_alerts_are_asked_for(config: Path) -> None:
    assert "PrometheusRule" not in run(config).stdout
    assert "kind: PrometheusRule" in run(config, "--alerts").stdout


def test_what_is_wrong_is_one_line_and_nothing_is_printed(config: Path) -> None:
    (config.parent / "who.yaml").unlink()
    done = run(config)
    assert done.exit_code == 1
    assert "who.yaml" in done.stderr
    assert done.stdout == ""
    config.write_text(CONFIG.replace("postgresql://access@db.example.com/access", "sqlite:///access.db"))
    (config.parent / "who.yaml").write_text("x: 1\n")
    done = run(config)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "sqlite:////var/lib/aliquot/access.db" in done.stderr
