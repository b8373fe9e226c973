"""Who is a kubelet: `system:node:NAME` in the group `system:nodes`."""

from aliquot.emulator.rbac import User

NODES = "system:nodes"
PREFIX = "system:node:"


def node_name(user: User) -> str | None:
    """Of the node whose kubelet `user` is; None for everybody else. Both name and group are needed."""
    if user.name.startswith(PREFIX) and NODES in user.groups:
        return user.name.removeprefix(PREFIX)
    return None
