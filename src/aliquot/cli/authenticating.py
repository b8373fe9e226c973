"""Whom `aliquot up` lets in beside its administrator: from options to what the API server accepts.

Imports nothing heavy before an option is there to be read: every command line passes here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aliquot.emulator.authentication import Accepted, Issuer

_FILE = click.Path(dir_okay=False, path_type=Path)


class AuthenticationOptionError(Exception):
    """One line: which option cannot be meant, and what would be right."""


def authentication_options(command: click.decorators.FC) -> click.decorators.FC:
    """kube-apiserver's own options, by their names there."""
    for option in reversed(
        (
            click.option(
                "--authentication-config",
                type=_FILE,
                help="Accept tokens of the issuers that this AuthenticationConfiguration names.",
            ),
            click.option(
                "--token-auth-file", type=_FILE, help='Accept these tokens: lines of token,user,uid,"groups".'
            ),
            click.option(
                "--oidc-issuer-url", metavar="URL", help="Accept tokens of this OpenID Connect issuer."
            ),
            click.option("--oidc-client-id", metavar="ID", help="Who its tokens must be for."),
            click.option(
                "--oidc-username-claim", metavar="CLAIM", help="What names the user.  [default: sub]"
            ),
            click.option(
                "--oidc-username-prefix",
                metavar="TEXT",
                help="Put before the name; '-' for nothing.  [default: the issuer's URL and #]",
            ),
            click.option("--oidc-groups-claim", metavar="CLAIM", help="What names the user's groups."),
            click.option("--oidc-groups-prefix", metavar="TEXT", help="Put before each group."),
            click.option(
                "--oidc-required-claim",
                metavar="CLAIM=VALUE",
                multiple=True,
                help="What a token must say; may be repeated.",
            ),
            click.option(
                "--oidc-ca-file", type=_FILE, help="Whom to trust when the issuer is asked for its keys."
            ),
            click.option(
                "--oidc-signing-algs", metavar="ALG[,ALG...]", help="How tokens are signed.  [default: RS256]"
            ),
        )
    ):
        command = option(command)
    return command


def accepted(options: Mapping[str, Any], *, minor: int) -> "Accepted":
    """`options` are those of `authentication_options`, by their parameters' names.

    Raises AuthenticationOptionError.
    """
    from aliquot.emulator.authentication import Accepted, Anonymous
    from aliquot.emulator.authentication.configuration import ConfigurationError, load, load_tokens

    oidc = {name: value for name, value in options.items() if name.startswith("oidc_") and value}
    file, tokens = options.get("authentication_config"), options.get("token_auth_file")
    if file is not None and oidc:
        raise AuthenticationOptionError(
            "--authentication-config names the issuers itself: leave out --oidc-..."
        )
    try:
        issuers, anonymous = load(file, minor=minor) if file is not None else ((), Anonymous())
        if oidc:
            issuers = (_issuer(oidc),)
        return Accepted(load_tokens(tokens) if tokens is not None else {}, issuers, anonymous)
    except ConfigurationError as error:
        raise AuthenticationOptionError(str(error)) from error


def _issuer(options: Mapping[str, Any]) -> "Issuer":
    from aliquot.emulator.authentication.configuration import from_options

    url, client = options.get("oidc_issuer_url"), options.get("oidc_client_id")
    if not url or not client:
        raise AuthenticationOptionError("--oidc-issuer-url and --oidc-client-id belong together")
    required = dict(claim.partition("=")[::2] for claim in options.get("oidc_required_claim", ()))
    authority = ""
    if (path := options.get("oidc_ca_file")) is not None:
        try:
            authority = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise AuthenticationOptionError(f"--oidc-ca-file: {path}: {error}") from error
    return from_options(
        url,
        client,
        username_claim=options.get("oidc_username_claim", "sub"),
        username_prefix=options.get("oidc_username_prefix", ""),
        groups_claim=options.get("oidc_groups_claim", ""),
        groups_prefix=options.get("oidc_groups_prefix", ""),
        required=required,
        algorithms=tuple(options.get("oidc_signing_algs", "RS256").split(",")),
        authority=authority,
    )
