import pytest

from aliquot.access.core.life.effects import Audience, News
from aliquot.access.notify.settings import NotifySettings, SlackSettings
from aliquot.document import DocumentError
from tests.access.notify.scenery import section

WHOLE = """
link: https://access.example.com/requests/
channels:
  on-call: {kind: slack, urlFile: /etc/slack}
  siem: {kind: webhook, url: https://siem.example.com, secretFile: /etc/siem, audiences: [security]}
  mail: {kind: mail, host: smtp.example.com, from: aliquot@example.com, to: {security: [soc@example.com]}}
"""


def test_what_is_left_out() -> None:
    found = section(WHOLE)
    chat = found.channels["on-call"]
    assert isinstance(chat, SlackSettings)
    assert (chat.audiences, chat.news) == (tuple(Audience), tuple(News))
    assert not found.own_words
    assert section("{}") == NotifySettings()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "https://access",
            "http://access",
            "server.yaml:2: 'http://access.example.com/requests/' would carry",
        ),
        ("urlFile: /etc/slack", "url: https://hooks.slack.com", "unknown field 'url'"),
        ("urlFile: /etc/slack", "urlFile: ''", "server.yaml:4: names no file"),
        ("https://siem", "ftp://siem", "is no URL"),
        ("/etc/siem", "''", "names no file"),
        ("[security]", "[secruity]", "'secruity' is not a known value; did you mean 'security'?"),
        ("smtp.example.com", "'smtp example'", "'smtp example' is no host's name"),
        ("from: aliquot@example.com", "from: Aliquot", "'Aliquot' is no mail address"),
        ("soc@example.com", "'soc@example.com\\n'", "server.yaml:6: "),
        ("soc@example.com", '"soc@example.com\\nBcc: x"', "is no mail address"),
        ("to: {security: [soc@example.com]}", "to: {}", "it goes to nobody"),
        ("to:", "user: a, to:", "user and secretFile: both, or none"),
        ("to:", "user: a, secretFile: b, security: none, to:", "a password would go in the clear"),
        ("to:", "port: 0, to:", ">= 1"),
        ("[soc@example.com]", str(["a@b"] * 21), "more than 20 addresses"),
        ("kind: slack", "kind: teams", "teams"),
    ],
)
def test_what_is_refused(before: str, after: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        section(WHOLE.replace(before, after, 1))
    assert said in str(refused.value)
