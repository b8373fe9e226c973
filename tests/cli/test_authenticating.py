from pathlib import Path
from typing import Any

import pytest

from aliquot.cli.authenticating import AuthenticationOptionError, accepted
from aliquot.emulator.authentication import Accepted
from aliquot.emulator.authentication.claims import FromClaim
from aliquot.emulator.rbac import User

OIDC = {"oidc_issuer_url": "https://i.example", "oidc_client_id": "k"}


def test_without_options_nobody_else_is_let_in() -> None:
    unset = {"oidc_issuer_url": None, "oidc_required_claim": (), "token_auth_file": None}
    assert accepted(unset, minor=36) == Accepted()


def test_an_issuer_from_options() -> None:
    options = {
        **OIDC,
        "oidc_groups_claim": "g",
        "oidc_groups_prefix": "o:",
        "oidc_required_claim": ("hd=x", "a=b=c"),
        "oidc_signing_algs": "RS256,ES256",
    }
    (issuer,) = accepted(options, minor=36).issuers
    assert (issuer.url, issuer.audiences, issuer.algorithms) == (
        "https://i.example",
        ("k",),
        ("RS256", "ES256"),
    )
    assert issuer.mappings.username == FromClaim("sub", "https://i.example#")
    assert issuer.mappings.groups == FromClaim("g", "o:")
    assert issuer.mappings.required == {"hd": "x", "a": "b=c"}


def test_tokens_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t1,ada,u1\n")
    assert accepted({"token_auth_file": tmp_path / "t.csv"}, minor=36).tokens == {"t1": User("ada", (), "u1")}


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"oidc_issuer_url": "https://i.example"}, "belong together"),
        ({"oidc_groups_claim": "g"}, "belong together"),
        ({**OIDC, "authentication_config": Path("c.yaml")}, "leave out --oidc-"),
        ({**OIDC, "oidc_ca_file": Path("/nowhere/ca.crt")}, "--oidc-ca-file: /nowhere/ca.crt"),
        ({**OIDC, "oidc_signing_algs": "none"}, "none: the algorithms are"),
        ({"authentication_config": Path("/nowhere/c.yaml")}, "/nowhere/c.yaml"),
    ],
)
def test_what_cannot_be_meant_is_one_line(options: dict[str, Any], refusal: str) -> None:
    with pytest.raises(AuthenticationOptionError, match=refusal) as caught:
        accepted(options, minor=36)
    assert "\n" not in str(caught.value)
