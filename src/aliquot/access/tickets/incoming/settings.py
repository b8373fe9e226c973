"""The `hooks:` and `rafay:` parts of the `tickets:` section:

hooks:
  jira: {kind: body, secretFile: /etc/aliquot/jira-hook}       # X-Hub-Signature: sha256=HEX
  servicenow: {kind: standard, secretFile: /etc/aliquot/servicenow-hook, mayAsk: true}
rafay:
  groups:
    shop-debuggers: {template: pod-exec, cluster: prod-one, namespace: shop, parameters: {pod: checkout-0}}
  people:
    sso:
      dev@example.com: {issuer: https://login.example.com, subject: 00u1a2b3}
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from aliquot.access.core.people import Person
from aliquot.access.core.templates.resolving import is_name
from aliquot.access.core.terms import is_person
from aliquot.document.parts import Key
from aliquot.kube.quoted import quoted

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_HOOK = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class Encoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class StandardHook(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="standard"):
    """Signed by Standard Webhooks: id, time and body."""

    secret_file: str
    """`whsec_...`, one on each line."""
    may_ask: bool = False
    """For access in somebody's name, with a ticket."""


class BodyHook(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="body"):
    """Signed by an HMAC-SHA256 of the body alone, as Jira's are. So when it was sent is believed from the body's `timestamp`."""

    secret_file: str
    """As it stands, one on each line."""
    header: str = "X-Hub-Signature"
    prefix: str = "sha256="
    encoding: Encoding = Encoding.HEX
    may_ask: bool = False


HookSettings: TypeAlias = StandardHook | BodyHook


class UserType(StrEnum):
    LOCAL = "local"
    SSO = "sso"


class RafayGroup(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one gets here who was put into that group there."""

    template: str
    cluster: str
    namespace: str = ""
    parameters: dict[str, str] = {}


class RafaySettings(Struct, frozen=True, kw_only=True, rename="camel"):
    groups: dict[str, RafayGroup]
    people: dict[UserType, dict[str, Person]]
    """By the e-mail address that Rafay knows them by. Who is not here is nobody."""


def hook_troubles(hooks: dict[str, HookSettings]) -> Iterator[tuple[tuple[Key, ...], str]]:
    files: dict[str, str] = {}
    for name, hook in hooks.items():
        if (other := files.setdefault(hook.secret_file, name)) != name:
            yield (name, "secretFile"), f"is {other}'s too: what was sent to one could be sent to the other"
        if _HOOK.fullmatch(name) is None:
            yield (name,), f"{quoted(name)} is not a hook's name: lower-case letters, digits and '-'"
        if not hook.secret_file:
            yield (name, "secretFile"), "names no file"
        if isinstance(hook, BodyHook) and _HEADER.fullmatch(hook.header) is None:
            yield (name, "header"), f"{quoted(hook.header)} is not a header's name"


def rafay_troubles(settings: RafaySettings) -> Iterator[tuple[tuple[Key, ...], str]]:
    for name, group in settings.groups.items():
        for field, text in (("template", group.template), ("cluster", group.cluster)):
            if not is_name(text):
                yield ("groups", name, field), f"{quoted(text)} is no name of a {field}"
    for kind, people in settings.people.items():
        for email, person in people.items():
            if not is_person(person):
                yield ("people", kind.value, email), "names no issuer, or no subject"
