"""The `notify:` section of the server's configuration file:

notify:
  link: https://access.example.com/requests/    # a request's id comes behind it
  channels:
    on-call: {kind: slack, urlFile: /etc/aliquot/slack-url, audiences: [approvers, security]}
    siem: {kind: webhook, url: https://siem.example.com/hooks, secretFile: /etc/aliquot/siem}
    mail:
      kind: mail
      host: smtp.example.com
      from: aliquot@example.com
      user: aliquot
      secretFile: /etc/aliquot/smtp
      holder: true                              # at the address that their issuer gives
      to: {approvers: [leads@example.com], security: [soc@example.com]}
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field

from aliquot.access.core.life.effects import Audience, News
from aliquot.access.outside.calling import url_trouble
from aliquot.document import Document
from aliquot.document.parts import Key
from aliquot.kube.quoted import quoted

_Timeout = Annotated[float, Meta(gt=0, le=30)]
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,180}[A-Za-z0-9])?", re.ASCII
)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9a-fA-F:]{2,45}", re.ASCII)
_MOST_ADDRESSES = 20


class SlackSettings(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="slack"):
    """An incoming webhook of Slack, or of what takes the same."""

    url_file: str
    """Its URL is a secret: whoever has it can write there."""
    audiences: tuple[Audience, ...] = tuple(Audience)
    news: tuple[News, ...] = tuple(News)
    timeout_s: _Timeout = 10.0


class WebhookSettings(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="webhook"):
    """A CloudEvent, signed by Standard Webhooks."""

    url: str
    secret_file: str
    """`whsec_...`, one on each line: signed with all."""
    audiences: tuple[Audience, ...] = tuple(Audience)
    news: tuple[News, ...] = tuple(News)
    timeout_s: _Timeout = 10.0


class Security(StrEnum):
    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailSettings(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="mail"):
    host: str
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    security: Security = Security.STARTTLS
    ca_file: str = ""
    """Empty: the authorities that the machine trusts."""
    sender: str = field(name="from")
    user: str = ""
    secret_file: str = ""
    to: dict[Audience, list[str]] = {}
    holder: bool = False
    """Whether holders are written to."""
    news: tuple[News, ...] = tuple(News)
    timeout_s: _Timeout = 10.0


ChannelSettings: TypeAlias = SlackSettings | WebhookSettings | MailSettings


class NotifySettings(Struct, frozen=True, kw_only=True, rename="camel"):
    link: str = ""
    own_words: bool = False
    """Whether justifications, and why something was ended, are told too."""
    channels: dict[str, ChannelSettings] = {}


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def check_notify(found: Document, at: tuple[Key, ...], settings: NotifySettings) -> None:
    """What types do not say. `at` leads to the section. Raises DocumentError."""
    if settings.link and (wrong := url_trouble(settings.link)):
        raise found.error((*at, "link"), wrong)
    for name, channel in settings.channels.items():
        for below, wrong in _troubles(channel):
            raise found.error((*at, "channels", name, *below), wrong)


def _troubles(channel: ChannelSettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    if isinstance(channel, MailSettings):
        yield from _of_mail(channel)
    elif isinstance(channel, WebhookSettings):
        if wrong := url_trouble(channel.url):
            yield ("url",), wrong
        if not channel.secret_file:
            yield ("secretFile",), "names no file"
    elif not channel.url_file:
        yield ("urlFile",), "names no file"


def _of_mail(mail: MailSettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    if _HOST.fullmatch(mail.host) is None:
        yield ("host",), f"{quoted(mail.host)} is no host's name"
    if not is_address(mail.sender):
        yield ("from",), f"{quoted(mail.sender)} is no mail address"
    if bool(mail.user) != bool(mail.secret_file):
        yield ("user",), "user and secretFile: both, or none"
    if mail.user and mail.security is Security.NONE:
        yield ("security",), "a password would go in the clear: starttls or tls"
    if not mail.to and not mail.holder:
        yield ("to",), "it goes to nobody: name addresses, or holder: true"
    for audience, addresses in mail.to.items():
        if len(addresses) > _MOST_ADDRESSES:
            yield (
                ("to", audience.value),
                f"more than {_MOST_ADDRESSES} addresses: make a list of them at the mail server",
            )
        for index, one in enumerate(addresses):
            if not is_address(one):
                yield ("to", audience.value, index), f"{quoted(one)} is no mail address"
