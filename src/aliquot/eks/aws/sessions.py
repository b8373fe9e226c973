"""Sessions of botocore that share its data: a new one reads all of it anew, and EC2's model alone takes longer than most commands."""

from functools import cache

import botocore.session
from botocore.loaders import Loader, create_loader


def session(profile: str | None = None) -> botocore.session.Session:
    """With configuration and credentials of its own. Raises BotoCoreError."""
    made = botocore.session.Session(profile=profile)
    made.lazy_register_component("data_loader", lambda: _loader(made.get_config_variable("data_path")))
    return made


@cache
def _loader(path: str | None) -> Loader:
    return create_loader(path)
