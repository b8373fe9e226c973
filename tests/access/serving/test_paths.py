from pathlib import Path

import pytest

from aliquot.access.serving.configuration import Configuration
from aliquot.access.serving.paths import beside, named
from aliquot.document import parse

TEXT = """
database: sqlite:///access.db
tls: {certificateFile: tls.crt, keyFile: /elsewhere/tls.key}
policyFile: policy.yaml
bindingsFile: who.yaml
templates: [templates, more/one.yaml]
logKeyFile: log.key
clusters:
- {name: one, kubeconfig: one.kubeconfig, audit: {tokenFile: one.audit}}
- {name: here}
identity:
  keyFile: identity.key
  groupsFile: groups.yaml
  oidc: [{issuer: "https://login", audience: us, authorityFile: ca.pem}]
tickets:
  systems:
    jira: {kind: jira, url: "https://jira", secretFile: secrets/jira, projects: [OPS]}
  hooks:
    jira: {kind: body, secretFile: secrets/hook}
notify:
  channels:
    chat: {kind: slack, urlFile: secrets/slack}
    siem: {kind: webhook, url: "https://siem", secretFile: secrets/siem}
    mail: {kind: mail, host: smtp, from: a@example.com, caFile: mail.pem, user: a, secretFile: secrets/smtp, holder: true}
"""
NAMED = {
    *("tls.crt", "/elsewhere/tls.key", "policy.yaml", "who.yaml", "templates", "more/one.yaml", "log.key"),
    *("one.kubeconfig", "one.audit", "identity.key", "groups.yaml", "ca.pem", "mail.pem"),
    *(f"secrets/{name}" for name in ("jira", "hook", "slack", "siem", "smtp")),
}


@pytest.fixture
def configuration() -> Configuration:
    return parse(TEXT, source="access.yaml").into(Configuration)


def test_every_path_begins_where_the_file_is(configuration: Configuration) -> None:
    assert {path for _, path in named(configuration)} == NAMED
    whole = beside(configuration, Path("/etc/aliquot"))
    assert {path for _, path in named(whole)} == {str(Path("/etc/aliquot") / one) for one in NAMED}
    assert whole.tickets.systems["jira"].secret_file == "/etc/aliquot/secrets/jira"
    assert whole.clusters[1].kubeconfig == ""
    assert whole.notify.channels["chat"] != configuration.notify.channels["chat"]
    assert (whole.database, whole.listen) == (configuration.database, configuration.listen)


def test_whole_paths_stay(configuration: Configuration) -> None:
    once = beside(configuration, Path("/a"))
    assert beside(once, Path("/b")) == once
