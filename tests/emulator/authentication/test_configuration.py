from pathlib import Path

import pytest

from aliquot.emulator.authentication import Anonymous
from aliquot.emulator.authentication.configuration import (
    ConfigurationError,
    from_options,
    load,
    load_tokens,
)
from aliquot.emulator.rbac import User

HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
ISSUER = "jwt:\n- issuer: {url: https://i.example, audiences: [k]}\n"
NAMED = "  claimMappings: {username: {claim: sub, prefix: ''}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, Anonymous()),
        (HEAD + "anonymous: {enabled: false}\n", Anonymous(False)),
        (
            HEAD + "anonymous: {enabled: true, conditions: [{path: /livez}]}\n",
            Anonymous(True, ("/livez",)),
        ),
    ],
)
def test_who_may_stay_unknown(tmp_path: Path, text: str, expected: Anonymous) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert load(tmp_path / "c.yaml", minor=36) == ((), expected)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("kind: Pod\napiVersion: v1\n", "c.yaml:1: apiserver.config.k8s.io/v1, kind"),
        (HEAD + "jwts: []\n", "c.yaml:3"),
        (HEAD + ISSUER.replace("https", "http") + NAMED, "c.yaml:4: .*reached by https"),
        (HEAD + ISSUER.replace("[k]", "[]") + NAMED, "c.yaml:4: .*at least one audience"),
        (HEAD + ISSUER.replace("[k]", "[k, l]") + NAMED, "must be MatchAny"),
        (HEAD + ISSUER + NAMED.replace(", prefix: ''", ""), "c.yaml:5: .*a prefix is required"),
        (HEAD + ISSUER + NAMED.replace("claim: sub, prefix: ''", ""), "a claim or an expression is required"),
        (HEAD + ISSUER + NAMED.replace("}}", ", expression: claims.sub}}"), "not both"),
        (
            HEAD + ISSUER + NAMED.replace("claim: sub, prefix: ''", "expression: 'claims.'"),
            "c.yaml:5: .*yntax",
        ),
        (HEAD + ISSUER + NAMED + ISSUER.removeprefix("jwt:\n") + NAMED, "c.yaml:6: .*named once"),
        (
            HEAD
            + ISSUER.replace("https://i.example", "https://kubernetes.default.svc.cluster.local")
            + NAMED,
            "the cluster's own issuer",
        ),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_line(tmp_path: Path, text: str, refusal: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=refusal) as caught:
        load(tmp_path / "c.yaml", minor=36)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"c\.yaml"):
        load(tmp_path / "c.yaml", minor=36)
    with pytest.raises(ConfigurationError, match=r"tokens\.csv: No such file"):
        load_tokens(tmp_path / "tokens.csv")


def test_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="https"):
        from_options("http://i.example", "k")
    with pytest.raises(ConfigurationError, match="HS256: the algorithms are"):
        from_options("https://i.example", "k", algorithms=("HS256",))


def test_a_file_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text('t1,ada,u1,"dev, ops"\n\nt2,bob,\n')
    assert load_tokens(path) == {"t1": User("ada", ("dev", "ops"), "u1"), "t2": User("bob", (), "")}


@pytest.mark.parametrize(
    ("text", "refusal"),
    [("t1,ada\n", ":1: token,user,uid"), ("t1,a,1\nt1,b,2\n", ":2: the token is there already, for a")],
)
def test_a_file_of_tokens_with_a_mistake(tmp_path: Path, text: str, refusal: str) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=refusal):
        load_tokens(path)
