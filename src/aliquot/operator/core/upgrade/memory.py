"""What a node carries through its upgrade, in one annotation: nobody else has to remember anything."""

import msgspec


class Memory(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    revision: str = ""
    """Of the driver that the upgrade goes to, or went to."""
    since_s: float = 0.0
    """When the node came into its state."""
    cordoned: bool = False
    """By the upgrade, which takes it back. Who was closed before stays so."""
    paused: bool = False
    """The operands that use the driver are, by the upgrade."""
    asked: bool = False
    """By a person: also where the policy upgrades nothing by itself."""
    checkpoint_asked_s: float | None = None
    """When its jobs were asked to save what they have."""
    restarted_s: float | None = None
    """When the old driver was taken away."""
    replaced: str = ""
    """UID of the driver's pod that was taken away last."""
    attempt: int = 1
    reason: str = ""
    """Why it has failed, or waits."""


NOTHING = Memory()


def encode(memory: Memory) -> str:
    """Empty: there is nothing to remember."""
    return "" if memory == NOTHING else msgspec.json.encode(memory).decode()


def decode(text: str) -> Memory | None:
    """None: there is nothing, or nothing that can be read."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Memory)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
