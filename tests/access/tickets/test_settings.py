from pathlib import Path

import pytest

from aliquot.document import DocumentError
from tests.access.tickets.scenery import WHOSE, jira, section, servicenow

URL = "https://acme.example.com"


def test_both_in_one_section() -> None:
    both = servicenow(URL, Path("a"), more=WHOSE) + jira(URL, Path("b")).replace("systems:\n", "")
    assert set(section(both).systems) == {"servicenow", "jira"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            servicenow("http://acme.example.com", Path("a")),
            "server.yaml:5: 'http://acme.example.com' would carry",
        ),
        (servicenow("https://u:p@acme.example.com", Path("a")), "a URL with a password in it"),
        (servicenow("acme.example.com", Path("a")), "is no URL: write https://HOST"),
        (servicenow("https://[", Path("a")), "is no URL"),
        (servicenow("https://acme:99999", Path("a")), "is no URL"),
        (servicenow(URL, Path("a")).replace("prefix: INC", "prefix: CHG"), "belong to servicenow already"),
        (servicenow(URL, Path("a")).replace("prefix: INC", "prefix: inc"), "'inc' is no prefix"),
        (servicenow(URL, Path("a")).replace("table: incident", "table: ../x"), "'../x' is no table"),
        (servicenow(URL, Path("a")).replace("user: aliquot", "user: 'a:b'"), "'a:b' is no user's name"),
        (servicenow(URL, Path("a")).replace("kind: servicenow", "kind: remedy"), "remedy"),
        (servicenow(URL, Path("a")).replace("approval:", "aproval:"), "did you mean 'approval'"),
        (servicenow(URL, Path("a"), more="    timeoutS: 0"), "> 0"),
        (servicenow(URL, Path("a"), more="    cluster: {fields: ['a^b']}"), "'a^b' is no field"),
        (servicenow(URL, Path("a"), more="    requester: {fields: [x], issuer: ''}"), "names no issuer"),
        (jira(URL, Path("a")).replace("[OPS]", "[OPS, ops]"), "'ops' is no project's key"),
        (jira(URL, Path("a")).replace("[OPS]", "[OPS, OPS]"), "belong to jira already"),
        (jira(URL, Path("a"), more="    plannedStart: customfield_1"), "both, or none"),
        (jira(URL, Path("a"), more="    open: [doing]"), "doing"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        section(text)
    assert said in str(refused.value)
    assert str(refused.value).startswith("server.yaml:")


HOOKS = """
hooks:
  jira: {kind: body, secretFile: /etc/hook}
  servicenow: {kind: standard, secretFile: /etc/other, mayAsk: true}
rafay:
  groups:
    shop: {template: pod-exec, cluster: prod-one, namespace: shop, parameters: {pod: checkout-0}}
  people:
    sso: {dev@example.com: {issuer: https://login.example.com, subject: dev}}
"""


def test_hooks_and_rafay() -> None:
    found = section(HOOKS)
    assert found.hooks["servicenow"].may_ask
    assert not found.hooks["jira"].may_ask
    assert found.rafay is not None


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("jira:", "Jira:", "'Jira' is not a hook's name"),
        ("secretFile: /etc/hook", "secretFile: ''", "server.yaml:3: names no file"),
        ("secretFile: /etc/hook", "secretFile: a, header: 'a b'", "'a b' is not a header's name"),
        ("template: pod-exec", "template: Pod Exec", "'Pod Exec' is no name of a template"),
        ("subject: dev", "subject: ''", "server.yaml:9: names no issuer, or no subject"),
        ("/etc/other", "/etc/hook", "server.yaml:4: is jira's too"),
        ("sso:", "saml:", "saml"),
        ("kind: body", "kind: none", "none"),
    ],
)
def test_hooks_that_are_refused(before: str, after: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        section(HOOKS.replace(before, after, 1))
    assert said in str(refused.value)
