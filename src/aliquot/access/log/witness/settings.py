"""The `witnesses:` section of the server's configuration file:

witnesses:
  servers:
  - {url: https://witness.example.org, key: witness.example.org/w1+b06b6860+BMhTrQ8M0rYZrqks7sT9VqJNZJnVhM55JX5Fz9gTm2Cn}
  quorum: 1                        # so many have to have signed
  everySeconds: 60                 # how often they are asked, where there is anything new
  grantsWaitAfterSeconds: 900      # nothing new is granted after so long without the quorum; left out: nothing waits
"""

from typing import Annotated

from msgspec import Meta, Struct

from aliquot.access.log.verify import COSIGNATURE, parse_key
from aliquot.access.outside.calling import url_trouble
from aliquot.document import Document
from aliquot.document.parts import Key


class WitnessServer(Struct, frozen=True, kw_only=True):
    url: str
    key: str
    """Its public key, `NAME+ID+BASE64`."""


class WitnessSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    servers: tuple[WitnessServer, ...] = ()
    quorum: Annotated[int, Meta(ge=1)] = 1
    every_seconds: Annotated[int, Meta(ge=5, le=3600)] = 60
    grants_wait_after_seconds: Annotated[int, Meta(ge=60, le=86_400)] | None = None


def check_witnesses(found: Document, at: tuple[Key, ...], settings: WitnessSettings) -> None:
    """What types do not say. `at` leads to the section. Raises DocumentError."""
    seen: set[str] = set()
    for index, one in enumerate(settings.servers):
        where = (*at, "servers", index)
        if wrong := url_trouble(one.url):
            raise found.error((*where, "url"), wrong)
        try:
            key = parse_key(one.key)
        except ValueError as error:
            raise found.error((*where, "key"), str(error)) from error
        if key.kind != COSIGNATURE:
            raise found.error((*where, "key"), f"'{key.name}' is no witness's key: it is one that signs logs")
        if key.name in seen:
            raise found.error((*where, "key"), f"there is another witness '{key.name}'")
        seen.add(key.name)
    if settings.servers and settings.quorum > len(settings.servers):
        raise found.error(
            (*at, "quorum"), f"there are {len(settings.servers)} witnesses, no {settings.quorum}"
        )
    every_s, wait_s = settings.every_seconds, settings.grants_wait_after_seconds
    if wait_s is not None and wait_s < 3 * every_s:
        raise found.error(
            (*at, "grantsWaitAfterSeconds"),
            f"witnesses are asked every {every_s} s: at least {3 * every_s}, or one lost answer holds up everybody",
        )
