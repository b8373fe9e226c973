import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.access.core.life.effects import Audience, News, TellNotice
from aliquot.access.core.life.life import Review
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.notices import Notice
from aliquot.access.core.people import Identity
from aliquot.access.notify.mail import mail_of
from aliquot.access.notify.messages import message_of, message_of_notice, plain
from aliquot.access.notify.slack import escaped, text_of
from aliquot.access.notify.webhook import event_of
from tests.access.life.scenery import person
from tests.access.notify.scenery import DEV, ENDED, LINK, life, news
from tests.access.tickets.scenery import request


def test_what_an_approver_is_told() -> None:
    message = message_of(news(), life(), DEV, link=LINK, own_words=False)
    assert message.title == "Dana Evans asks for fix in prod-one/team-a for 1h"
    assert message.facts == (
        ("Request", life().id),
        ("Names", "workload checkout"),
        ("Ticket", "CHG0031234"),
    )
    assert message.link == LINK + life().id
    assert text_of(message) == (
        "*Dana Evans asks for fix in prod-one/team-a for 1h*\n"
        f"Request: {life().id}\nNames: workload checkout\nTicket: CHG0031234\n<{LINK}{life().id}>"
    )


OF_A_REQUEST = [one for one in News if one not in (News.FINDING, News.CHECKPOINT)]


@pytest.mark.parametrize("what", OF_A_REQUEST)
def test_each_news_is_one_line_of_its_own(what: News) -> None:
    titles = {message_of(news(one), ENDED, DEV, link="", own_words=False).title for one in OF_A_REQUEST}
    title = message_of(news(what), ENDED, DEV, link="", own_words=False).title
    assert len(titles) == len(OF_A_REQUEST)
    assert "fix in prod-one/team-a for 1h" in title
    assert "Dana Evans" in title
    assert "{" not in title


def test_who_is_not_known_is_named_as_their_issuer_does() -> None:
    for holder in (None, Identity(person=person("dev")), replace(DEV, name="\u202e", email="")):
        message = message_of(news(), life(), holder, link="", own_words=False)
        assert message.title.startswith("https://login.example.com#dev asks for")
        assert message.link == ""


def test_a_review_says_until_when() -> None:
    due = life(stage=Stage.ENDED, review=Review(within_s=60, due_s=1_800_000_000.0))
    message = message_of(news(News.EMERGENCY, Audience.REVIEWERS), due, DEV, link="", own_words=False)
    assert ("Review", "due, until 2027-01-15T08:00:00Z") in message.facts


def test_own_words_are_told_only_where_that_is_wanted() -> None:
    for what in OF_A_REQUEST:
        silent = message_of(news(what), ENDED, DEV, link=LINK, own_words=False)
        mail = mail_of(silent, sender="aliquot@example.com", address="a@example.com", now_s=0.0)
        for written in (text_of(silent), str(event_of(silent, 0.0)), mail.as_string()):
            assert "checkout is down" not in written
            assert "they left" not in written
    told = message_of(news(News.ENDED), ENDED, DEV, link=LINK, own_words=True)
    assert told.facts[-2:] == (("Justification", "checkout is down"), ("Why", "they left"))
    assert told.data["justification"] == "checkout is down"


def test_an_event_is_known_again() -> None:
    first = event_of(message_of(news(), life(), DEV, link="", own_words=False), 0.0)
    again = event_of(message_of(news(), life(), None, link="", own_words=False), 60.0)
    changed = event_of(message_of(news(), ENDED, DEV, link="", own_words=False), 0.0)
    assert first["id"] == again["id"] == changed["id"]
    assert (first["type"], first["subject"], first["time"]) == (
        "dev.aliquot.access.asked",
        life().id,
        "1970-01-01T00:00:00.000Z",
    )


@pytest.mark.parametrize(
    ("what", "before", "after", "same"),
    [
        (News.EXTENDED, {"extensions": ("a",)}, {"extensions": ("a", "b")}, False),
        (News.EXTENDED, {"extensions": ("a",), "fence": 3}, {"extensions": ("a",), "fence": 4}, True),
        (News.NOT_REMOVED, {"fence": 3}, {"fence": 4}, False),
        (News.NOT_REMOVED, {"fence": 3, "version": 5}, {"fence": 3, "version": 6}, True),
        (News.ASKED, {"fence": 0}, {"fence": 4, "extensions": ("a",)}, True),
    ],
)
def test_news_that_there_is_more_than_once(
    what: News, before: dict[str, object], after: dict[str, object], same: bool
) -> None:
    keys = {message_of(news(what), life(**one), DEV, link="", own_words=False).key for one in (before, after)}
    assert (len(keys) == 1) is same


HOSTILE = st.one_of(
    st.text(max_size=400),
    st.sampled_from(
        [
            "<!channel> <@U123> <https://evil.example|click>",
            "a\r\nBcc: everybody@example.com\r\n\r\nbody",
            "@all [click](https://evil.example)",
            "\u202e\u2028x\x00\x1b[31m",
            "=?utf-8?q?=0D=0ABcc=3A_x?=",
        ]
    ),
)


@given(HOSTILE)
def test_no_text_is_a_link_or_a_mention(text: str) -> None:
    written = escaped(text)
    assert "<" not in written
    assert ">" not in written
    assert "](" not in written
    assert "@" not in written.replace("@\u200b", "")


@given(HOSTILE)
def test_plain_is_one_line_that_is_seen(text: str) -> None:
    written = plain(text)
    assert written == " ".join(written.split())
    assert written.isprintable() or all(one.isprintable() or one.isspace() for one in written)
    assert len(written) <= 303


@given(HOSTILE, HOSTILE)
@example("=?utf-8?q?=0D=0ABcc=3A_x?=", "")
def test_no_text_makes_a_header_or_a_line(name: str, words: str) -> None:
    asked = replace(request(), justification=words)
    hostile = life(request=asked, why=words)
    message = message_of(news(), hostile, replace(DEV, name=name), link=LINK, own_words=True)
    mail = mail_of(message, sender="aliquot@example.com", address="leads@example.com", now_s=0.0)
    head, _, body = mail.as_bytes().partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert sorted(names) == sorted(
        [
            b"From",
            b"To",
            b"Subject",
            b"Date",
            b"Message-ID",
            b"References",
            b"Auto-Submitted",
            b"Content-Type",
            b"Content-Transfer-Encoding",
            b"MIME-Version",
        ]
    )
    assert mail["To"] == "leads@example.com"
    assert body
    assert text_of(message).count("\n") == len(message.facts) + 1


def test_a_finding_names_what_was_found_and_where_and_has_an_id_of_its_own_each_time() -> None:
    notice = Notice(
        source="agent",
        sort="bypass",
        cluster="one",
        about="RoleBinding shop/x\r\nBcc: all",
        why="it binds us",
    )
    first, again = (message_of_notice(TellNotice(notice=notice, at_s=at_s)) for at_s in (0.0, 90_000.0))
    assert first.title == "FINDING in one: bypass: RoleBinding shop/x Bcc: all"
    assert first.facts[0] == ("Why", "it binds us")
    assert first.to == (Audience.SECURITY,)
    assert first.key != again.key
    assert message_of_notice(TellNotice(notice=notice, at_s=0.0)) == first
