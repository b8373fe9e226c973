import pytest

from aliquot.access.identity.configuration import parse_identity
from aliquot.document import DocumentError

GOOD = """\
keyFile: /k
oidc:
- issuer: https://login.example.com
  audience: aliquot-access
  stepUp: {totp: {amr: [mfa]}}
kubernetes:
- {cluster: prod, issuer: https://kubernetes/prod}
local:
  issuer: https://access.example.com
  relyingParty: access.example.com
  origins: ["https://access.example.com"]
"""


def test_a_whole_section() -> None:
    section = parse_identity(GOOD, "c.yaml")
    assert section.issuers == {"https://login.example.com", "https://kubernetes/prod"}
    assert section.oidc[0].algorithms == ("RS256", "ES256")


def test_the_example_of_its_documentation_is_one() -> None:
    import textwrap

    from aliquot.access.identity import configuration

    text = (configuration.__doc__ or "").split("identity:\n", 1)[1]
    assert parse_identity(textwrap.dedent(text), "doc").oidc[0].clients == ("aliquot-access", "aliquot-cli")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("audience: aliquot-access", "audience: a\n  algorithms: [none]", "c.yaml:5:"),
        ("audience: aliquot-access", "audience: a\n  algorithms: [HS256]", "c.yaml:5:"),
        ("audience: aliquot-access", "audience: a\n  algorithms: []", "c.yaml:5:"),
        ("audience: aliquot-access", "audienc: a", "c.yaml:4:"),
        ("issuer: https://login.example.com", "issuer: http://login.example.com", "in the clear"),
        ("issuer: https://login.example.com", "issuer: https://u@login.example.com", "password"),
        ("issuer: https://kubernetes/prod", "issuer: https://login.example.com", "twice"),
        ("issuer: https://kubernetes/prod", "issuer: 'https://kubernetes/prod#a'", "'#'"),
        ("{amr: [mfa]}", "{}", "c.yaml:5: would take any sign-in"),
        ('"https://access.example.com"', '"https://example.com"', "not of the relying party"),
        ('"https://access.example.com"', '"https://access.example.com/x"', "no origin"),
        ('"https://access.example.com"', '"https://evilaccess.example.com"', "not of the relying party"),
        ("keyFile: /k", "keyFile: /k\nknownForSeconds: 0", "c.yaml:2:"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(DocumentError) as refused:
        parse_identity(GOOD.replace(old, new), "c.yaml")
    assert said in str(refused.value)


def test_nobody_at_all_is_a_mistake() -> None:
    with pytest.raises(DocumentError, match="nobody could prove"):
        parse_identity("keyFile: /k\n", "c.yaml")
