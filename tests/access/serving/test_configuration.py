from pathlib import Path

import pytest

from aliquot.access.serving.configuration import Configuration, load
from aliquot.document import DocumentError

WRITTEN = """\
database: sqlite:///access.db
listen: 127.0.0.1:8443
policyFile: policy.yaml
bindingsFile: who.yaml
logKeyFile: log.key
clusters:
- {name: demo, kubeconfig: agent.kubeconfig}
identity:
  keyFile: identity.key
  kubernetes:
  - {cluster: demo, issuer: demo}
"""


def test_one_that_is_right(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(WRITTEN)
    found = load(path)
    assert found.address == ("127.0.0.1", 8443)
    assert [one.name for one in found.clusters] == ["demo"]


def test_a_cluster_whose_audit_log_comes(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    assert load_written(path, "agent.kubeconfig}").clusters[0].audit is None
    found = load_written(path, "a, audit: {tokenFile: demo.audit}}")
    audit = found.clusters[0].audit
    assert audit is not None
    assert (audit.token_file, audit.silent_after_seconds, found.audit_kept_days) == ("demo.audit", 300, 400)


def load_written(path: Path, after: str) -> Configuration:
    path.write_text(WRITTEN.replace("agent.kubeconfig}", after))
    return load(path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("database:", "databse:", "access.yaml:1: unknown field 'databse'; did you mean 'database'?"),
        ("listen: 127.0.0.1:8443", "listen: 8443", "access.yaml:2: listen: text is expected"),
        ("listen: 127.0.0.1:8443", "listen: here", "access.yaml:2: 'here' is no address and port"),
        ("127.0.0.1:8443", "127.0.0.1:70000", "access.yaml:2: '127.0.0.1:70000' is no address and port"),
        ("127.0.0.1:8443", "0.0.0.0:8443", "access.yaml:2: others would reach it unencrypted"),
        ("127.0.0.1:8443", "access.example.com:8443", "access.yaml:2: others would reach it unencrypted"),
        ("policyFile: policy.yaml\n", "", "field 'policyFile' is missing"),
        ("logKeyFile: log.key", "logKeyFile: ''", "access.yaml:5:"),
        ("name: demo,", "name: De mo,", "access.yaml:7: 'De mo' is no name"),
        (
            "clusters:\n",
            "clusters:\n- {name: demo}\n",
            "access.yaml:8: there is another cluster 'demo'",
        ),
        ("agent.kubeconfig}", "a, server: 'http://x'}", "access.yaml:7: 'http://x' is no https:// URL"),
        ("  kubernetes:\n  - {cluster: demo, issuer: demo}\n", "", "nobody could prove who they are"),
        ("issuer: demo", "isuer: demo", "access.yaml:11: unknown field 'isuer'"),
        ("agent.kubeconfig}", "a, audit: {}}", "access.yaml:7:"),
        ("agent.kubeconfig}", "a, audit: {tokenFile: t, silentAfterSeconds: 1}}", "access.yaml:7:"),
        ("identity:", "auditKeptDays: 0\nidentity:", "access.yaml:8:"),
        ("identity:", "tickets: {systems: {jira: {kind: jra}}}\nidentity:", "access.yaml:8:"),
        ("identity:", "notify: {link: 'http://x/'}\nidentity:", "access.yaml:8:"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = tmp_path / "access.yaml"
    assert before in WRITTEN
    path.write_text(WRITTEN.replace(before, after, 1))
    with pytest.raises(DocumentError) as refused:
        load(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "'[::1]:8443'", "localhost:8443"])
def test_only_this_machine_is_reached_without_tls(tmp_path: Path, listen: str) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(WRITTEN.replace("127.0.0.1:8443", listen))
    assert load(path).tls is None
