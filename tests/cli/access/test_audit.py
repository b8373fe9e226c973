"""`aliquot access audit` and `used`: what is sent, what is left out, what is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aliquot.cli.access.group import access
from aliquot.emulator.audit.policy import load
from tests.access.audit.samples import raw
from tests.cli.access.test_calling import Recorder, server

__all__ = ["server"]

TAKEN = {"events": 2, "uses": 1, "findings": 0, "unread": []}
USE: dict[str, Any] = {
    "grant": "r1",
    "count": 3,
    "first": "2027-01-15T08:00:00.000Z",
    "last": "2027-01-15T08:00:09.000Z",
    "addresses": [{"name": "10.0.0.7", "count": 3, "first": "", "last": ""}],
    "agents": [{"name": "kubectl/v1.36.2", "count": 3, "first": "", "last": ""}],
    "rights": 4,
    "unusedRights": 2,
    "unused": [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "verbs": ["get", "patch"],
            "resourceNames": ["web"],
        }
    ],
    "isCut": False,
    "isFolded": True,
    **{name: [] for name in ("changed", "secrets", "forwards", "urls")},
}


def line(**fields: Any) -> dict[str, Any]:
    told = {
        "verb": "get",
        "group": "",
        "resource": "pods",
        "namespace": "shop",
        "name": "web",
        "container": "",
    }
    when = {"first": "2027-01-15T08:00:00.000Z", "last": "2027-01-15T08:00:09.000Z"}
    return told | {"failed": False, "by": "", "count": 1} | when | fields


USE["read"] = [line(failed=True, name="gone")]
USE["shells"] = [line(resource="pods/exec", container="app")]
USE["denied"] = [line(verb="list", resource="secrets", name="", by="rights")]


def run(folder: Path, url: str, *args: str, stdin: bytes = b"") -> Result:
    (folder / "token").write_text("a-token")
    call = ("--server", url, "--token-file", str(folder / "token"))
    return CliRunner().invoke(access, [*args, *call], input=stdin)


@pytest.fixture
def url(server: type[Recorder]) -> str:
    return server.url  # type: ignore[attr-defined,no-any-return]


def test_a_file_is_sent_without_what_is_secret(tmp_path: Path, server: type[Recorder], url: str) -> None:
    server.answers["/v1/audit/demo"] = (200, TAKEN)
    exec_ = raw(
        "create", "pods/exec", query="command=geheim&container=app", code=101, requestObject={"a": "geheim"}
    )
    (tmp_path / "audit.log").write_text(
        "\n".join([json.dumps(exec_), "", json.dumps(raw(stage="RequestReceived")), json.dumps(raw())])
    )
    result = run(tmp_path, url, "audit", "read", str(tmp_path / "audit.log"), "--cluster", "demo")
    assert (result.exit_code, result.output) == (
        0,
        "2 events, 1 requests of grants that were not known yet, 0 findings\n",
    )
    ((method, path, headers, body),) = server.seen
    assert (method, path, headers["authorization"]) == ("POST", "/v1/audit/demo", "Bearer a-token")
    sent = json.loads(body)
    assert [one["verb"] for one in sent["items"]] == ["create", "get"]
    assert b"geheim" not in body
    assert b"container=app" in body


def test_what_cannot_be_read_is_named_and_the_rest_is_sent(
    tmp_path: Path, server: type[Recorder], url: str
) -> None:
    server.answers["/v1/audit/demo"] = (200, TAKEN)
    log = b"\n".join([json.dumps(raw()).encode(), b"nonsense", json.dumps(raw()).encode()])
    result = run(tmp_path, url, "audit", "read", "-", "--cluster", "demo", stdin=log)
    assert result.exit_code == 1
    assert "-:2: no audit event: JSON is malformed" in result.output
    assert "2 events" in result.output
    assert result.output.endswith("Error: 1 lines could not be read\n")
    assert len(json.loads(server.seen[0][3])["items"]) == 2


def test_a_long_file_is_sent_in_parts(tmp_path: Path, server: type[Recorder], url: str) -> None:
    server.answers["/v1/audit/demo"] = (200, TAKEN)
    log = b"\n".join(json.dumps(raw(number=number)).encode() for number in range(1100))
    assert run(tmp_path, url, "audit", "read", "-", "--cluster", "demo", stdin=log).exit_code == 0
    assert [len(json.loads(one[3])["items"]) for one in server.seen] == [500, 500, 100]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("read", "nowhere.log", "--cluster", "demo"), "nowhere.log: No such file or directory"),
        (("read", "-", "--cluster", "demo", "--follow"), "standard input is read to its end anyway"),
        (("read", "-", "--cluster", "other"), "there is no request of this id"),
        (("read", "-", "--cluster", ""), "leave"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, url: str, args: tuple[str, ...], words: str) -> None:
    result = run(tmp_path, url, "audit", *args, stdin=json.dumps(raw()).encode())
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert "Traceback" not in result.output


def test_the_policy_is_one_that_an_api_server_takes_and_asks_for_no_bodies(tmp_path: Path) -> None:
    result = CliRunner().invoke(access, ["audit", "policy"])
    (tmp_path / "policy.yaml").write_text(result.output)
    policy = load(tmp_path / "policy.yaml")
    assert {rule.level.value for rule in policy.rules} == {"Metadata", "None"}
    assert policy.rules[-1].level.value == "Metadata"


def test_the_kubeconfig_names_the_cluster_and_where_its_token_is() -> None:
    args = ("--server", "https://access.example.com", "--cluster", "prod-one", "--ca-file", "/etc/ca.pem")
    result = CliRunner().invoke(access, ["audit", "webhook-config", *args])
    found = yaml.safe_load(result.output)
    assert found["clusters"][0]["cluster"] == {
        "server": "https://access.example.com/v1/audit/prod-one",
        "certificate-authority": "/etc/ca.pem",
    }
    assert found["users"][0]["user"] == {"tokenFile": "/etc/kubernetes/aliquot-audit.token"}
    refused = CliRunner().invoke(
        access, ["audit", "webhook-config", "--server", "http://x", "--cluster", "a"]
    )
    assert refused.exit_code == 2


def test_what_a_grant_was_used_for_is_a_table(tmp_path: Path, server: type[Recorder], url: str) -> None:
    server.answers["/v1/grants/r1/use"] = (200, USE)
    result = run(tmp_path, url, "used", "r1")
    assert result.exit_code == 0
    assert result.output == (
        "r1: 3 requests, 2027-01-15T08:00:00.000Z to 2027-01-15T08:00:09.000Z\n"
        "  from       10.0.0.7\n"
        "  with       kubectl/v1.36.2\n"
        "  more of a kind than are told apart: * stands for the others\n"
        "\n"
        "WHAT            VERB   RESOURCE    NAMESPACE   NAME        TIMES   FIRST                      LAST\n"
        "read, in vain   get    pods        shop        gone        1       2027-01-15T08:00:00.000Z   2027-01-15T08:00:09.000Z\n"
        "shell           get    pods/exec   shop        web (app)   1       2027-01-15T08:00:00.000Z   2027-01-15T08:00:09.000Z\n"
        "denied          list   secrets     shop        -           1       2027-01-15T08:00:00.000Z   2027-01-15T08:00:09.000Z\n"
        "\n"
        "never used, 2 of 4 rights:\n"
        "  get, patch deployments of apps named web\n"
    )
    assert json.loads(run(tmp_path, url, "used", "r1", "-o", "json").output) == USE


def test_of_many_addresses_a_screen_has_some(tmp_path: Path, server: type[Recorder], url: str) -> None:
    used = USE | {"addresses": [{"name": f"10.0.0.{number}"} for number in range(2000)]}
    server.answers["/v1/grants/r1/use"] = (200, used)
    result = run(tmp_path, url, "used", "r1")
    assert "10.0.0.7 and 1992 more: -o json has all\n" in result.output
    assert json.loads(run(tmp_path, url, "used", "r1", "-o", "json").output) == used


def test_of_a_grant_that_nobody_used_that_is_said(tmp_path: Path, server: type[Recorder], url: str) -> None:
    empty: dict[str, Any] = {
        name: [] for name in ("read", "shells", "denied", "unused", "addresses", "agents")
    }
    server.answers["/v1/grants/r1/use"] = (200, USE | empty | {"count": 0, "first": None, "last": None})
    assert run(tmp_path, url, "used", "r1").output == "r1: nothing that was done with it has come\n"


def test_findings_are_a_table(tmp_path: Path, server: type[Recorder], url: str) -> None:
    found = {
        "first": "2027-01-15T08:00:00.000Z",
        "cluster": "demo",
        "rule": "silence",
        "grant": "",
        "text": "nothing",
    }
    server.answers["/v1/audit/findings?limit=100&cluster=demo"] = (200, {"items": [found]})
    result = run(tmp_path, url, "audit", "findings", "--cluster", "demo")
    assert result.output == (
        "AT                         CLUSTER   RULE      GRANT   WHAT\n"
        "2027-01-15T08:00:00.000Z   demo      silence   -       nothing\n"
    )
