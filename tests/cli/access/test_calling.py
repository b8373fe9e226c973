"""The commands of `aliquot access` before and around a call: what is wrong is one line, and a token goes nowhere else."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.access.group import access
from aliquot.cli.access.showing import described, rows

LIFE: dict[str, Any] = {
    "id": "r1",
    "digest": "sha256:1",
    "stage": "pending",
    "why": "",
    "endReason": None,
    "end": None,
    "overAt": None,
    "endedBy": None,
    "approvals": [],
    "reviewState": "none",
    "request": {
        "requester": {"issuer": "idp", "subject": "dora"},
        "template": "fix",
        "cluster": "demo",
        "namespace": "shop",
        "parameters": {"pod": "web"},
        "rules": [
            {
                "apiGroups": ["apps"],
                "resources": ["deployments"],
                "verbs": ["patch"],
                "resourceNames": ["web"],
            }
        ],
        "durationSeconds": 1800,
        "start": None,
        "justification": "down\n  digest     sha256:forged",
        "ticket": "",
        "emergency": False,
        "extends": "",
    },
}


class Recorder(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, Any]]
    seen: list[tuple[str, str, dict[str, str], bytes]]
    more: dict[str, dict[str, str]]
    """Headers."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, found = self.answers.get(self.path, (404, {"detail": "there is no request of this id"}))
        sent = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        for name, value in self.more.get(self.path, {}).items():
            self.send_header(name, value)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[type[Recorder]]:
    made = type("One", (Recorder,), {"answers": {}, "seen": [], "more": {}})
    http = ThreadingHTTPServer(("127.0.0.1", 0), made)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{http.server_port}"  # type: ignore[attr-defined]
    yield made
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("secret-token\n")
    return path


def run(url: str, token: Path, *args: str, stdin: str = "") -> Result:
    return CliRunner().invoke(access, [*args, "--server", url, "--token-file", str(token)], input=stdin)


def test_what_is_agreed_to_is_shown_with_its_digest_before_it_is_asked_for(server: Any, token: Path) -> None:
    server.answers |= {
        "/v1/requests/r1": (200, LIFE),
        "/v1/requests/r1:approve": (200, {**LIFE, "stage": "approved"}),
    }
    refused = run(server.url, token, "approve", "r1", stdin="n\n")
    assert refused.exit_code != 0
    assert [one[:2] for one in server.seen] == [("GET", "/v1/requests/r1")]
    agreed = run(server.url, token, "approve", "r1", stdin="y\n")
    assert agreed.exit_code == 0
    for word in (
        "sha256:1",
        "dora of idp",
        "namespace shop of demo",
        "30m",
        "pod=web",
        "patch deployments of apps named web",
    ):
        assert word in agreed.output
    method, path, headers, body = server.seen[-1]
    assert (method, path, json.loads(body)) == ("POST", "/v1/requests/r1:approve", {"digest": "sha256:1"})
    assert headers["authorization"] == "Bearer secret-token"


def test_what_somebody_wrote_cannot_pass_for_anything_else() -> None:
    lines = described(LIFE).splitlines()
    assert [one for one in lines if "digest" in one] == [
        "  digest     sha256:1",
        "    |   digest     sha256:forged",
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://access.example.com", "unencrypted"),
        ("access.example.com", "no URL"),
        ("ftp://127.0.0.1", "no URL"),
    ],
)
def test_where_no_token_is_sent(token: Path, url: str, said: str) -> None:
    came = run(url, token, "list")
    assert came.exit_code == 2
    assert said in came.output


@pytest.mark.parametrize(
    ("text", "said"), [(None, "No such file"), ("", "there is no token"), ("a\nb", "there is no token")]
)
def test_what_is_no_token(server: Any, tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "token"
    if text is not None:
        path.write_text(text)
    came = run(server.url, path, "list")
    assert came.exit_code == 1
    assert said in came.output
    assert not server.seen


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, {"detail": "it is not yours"}), "Error: it is not yours\n"),
        ((502, b"<html>"), "HTTP 502"),
        ((302, {}), "HTTP 302"),
        ((200, b"<html>"), "does not answer as Aliquot does"),
    ],
)
def test_what_the_server_refuses_is_one_line(server: Any, token: Path, answer: Any, said: str) -> None:
    server.answers["/v1/requests/r1"] = answer
    came = run(server.url, token, "show", "r1")
    assert came.exit_code == 1
    assert said in came.output
    assert came.output.count("\n") == 1


def test_nobody_is_there(token: Path) -> None:
    came = run("http://127.0.0.1:1", token, "list")
    assert came.exit_code == 1
    assert "does not answer" in came.output


def test_pages_are_followed(server: Any, token: Path) -> None:
    first, second = {**LIFE, "id": "r2"}, LIFE
    server.answers |= {
        "/v1/requests?limit=100": (200, {"items": [first], "next": "r2"}),
        "/v1/requests?limit=100&before=r2": (200, {"items": [second]}),
    }
    came = run(server.url, token, "list", "-o", "json")
    assert [one["id"] for one in json.loads(came.output)] == ["r2", "r1"]


def test_ids_are_not_paths(server: Any, token: Path) -> None:
    run(server.url, token, "show", "../killswitch?x#y")
    assert [one[1] for one in server.seen] == ["/v1/requests/..%2Fkillswitch%3Fx%23y"]


@pytest.mark.parametrize("pair", ["web", "=web", "pod="])
def test_parameters(server: Any, token: Path, pair: str) -> None:
    asked = ("request", "fix", "--cluster", "demo", "-m", "down")
    came = run(server.url, token, *asked, "-p", pair)
    assert (came.exit_code == 2) is (pair != "pod=")
    assert run(server.url, token, *asked, "-p", "pod=a", "-p", "pod=b").exit_code == 2


def test_a_code_comes_with_what_it_is_for(server: Any, token: Path) -> None:
    server.answers |= {
        "/v1/requests/r1": (200, LIFE),
        "/v1/requests/r1:approve": (200, {**LIFE, "stage": "approved"}),
    }
    came = run(server.url, token, "approve", "r1", "--digest", "sha256:1", "--code", "123456")
    assert came.exit_code == 0
    shown, agreed = (one[2].get("aliquot-proof") for one in server.seen)
    assert shown is None
    assert json.loads(base64.urlsafe_b64decode(f"{agreed}==")) == {"type": "totp", "code": "123456"}


def test_a_table_of_requests_fits_on_a_screen(server: Any, token: Path) -> None:
    asked = {
        **LIFE["request"],
        "requester": {"issuer": "demo", "subject": "system:serviceaccount:people:dora"},
        "template": "restart-rollout",
        "cluster": "prod-one",
    }
    life = {**LIFE, "id": "r01m8kdj4pr8z1c65s62rs462dh", "request": asked, "end": "2026-11-29T10:58:43.969Z"}
    server.answers["/v1/requests?limit=100"] = (200, {"items": [life]})
    came = run(server.url, token, "list")
    assert came.exit_code == 0
    assert max(map(len, came.output.splitlines())) <= 100
    assert "prod-one/shop   people:dora   pending   11-29 10:58" in came.output
    wide = run(server.url, token, "list", "-o", "wide").output
    assert "system:serviceaccount:people:dora" in wide


FORESEEN: dict[str, Any] = {
    "rules": LIFE["request"]["rules"],
    "durationSeconds": 5400,
    "approvals": {
        "slots": [
            {"groups": ["https://idp#leads"], "people": [{"issuer": "idp", "subject": "lea"}]},
            {"groups": [], "people": []},
        ],
        "distinctGroups": True,
    },
    "stepUp": {"request": "totp", "approval": "none"},
    "ticket": "optional",
    "reviewed": False,
    "latestEnd": "2026-11-29T10:58:43.969Z",
    "latestEndWithExtensions": "2026-11-29T12:58:43.969Z",
    "useAfterEndSeconds": 0,
    "useAfterRevokeSeconds": 15,
    "missing": [],
}


def test_what_asking_would_come_to_is_told_and_what_is_missing_fails(server: Any, token: Path) -> None:
    path = "/v1/simulate?template=fix&cluster=demo&parameter.pod=web&namespace=shop&durationSeconds=5400"
    server.answers[path] = (200, FORESEEN)
    asked = ("simulate", "fix", "--cluster", "demo", "-n", "shop", "-p", "pod=web", "--for", "90m")
    came = run(server.url, token, *asked)
    assert came.exit_code == 0, came.output
    for line in (
        "  for        90m",
        "    patch deployments of apps named web",
        "  agreed to  by 2, each through another group",
        "    group https://idp#leads or lea of idp",
        "    nobody",
        "  proof      totp to ask, none to agree",
        "  ends       2026-11-29T10:58:43.969Z at the latest",
    ):
        assert line in came.output.splitlines()
    server.answers[path] = (200, {**FORESEEN, "missing": ["a ticket"]})
    missing = run(server.url, token, *asked)
    assert (missing.exit_code, missing.output.splitlines()[-2:]) == (1, ["  missing", "    a ticket"])
    assert json.loads(run(server.url, token, *asked, "-o", "json").output)["missing"] == ["a ticket"]


ACTS: list[tuple[list[str], str]] = [
    (["approve", "r1", "--digest", "sha256:1"], "requests/r1:approve"),
    (["deny", "r1", "-m", "no"], "requests/r1:deny"),
    (["withdraw", "r1"], "requests/r1:withdraw"),
    (["activate", "r1"], "requests/r1:activate"),
    (["extend", "r1", "-m", "more"], "grants/r1:extend"),
    (["return", "r1"], "grants/r1:return"),
    (["revoke", "r1", "-m", "now"], "grants/r1:revoke"),
    (["review", "r1", "justified", "-m", "fine"], "reviews/r1"),
]


@pytest.mark.parametrize(("args", "path"), ACTS, ids=str)
def test_for_programs_each_act_answers_with_the_request(
    server: Any, token: Path, args: list[str], path: str
) -> None:
    after = {**LIFE, "stage": "active", "version": 7}
    server.answers |= {"/v1/requests/r1": (200, LIFE), f"/v1/{path}": (200, after)}
    came = CliRunner().invoke(
        access, [*args, "-o", "json", "--server", server.url, "--token-file", str(token)]
    )
    assert came.exit_code == 0, came.stderr
    assert json.loads(came.stdout) == after


@pytest.mark.parametrize(
    ("stdin", "said"), [("n\n", "nothing was done"), ("", "say it with --digest sha256:1")]
)
def test_who_does_not_say_yes(server: Any, token: Path, stdin: str, said: str) -> None:
    server.answers["/v1/requests/r1"] = (200, LIFE)
    came = run(server.url, token, "approve", "r1", stdin=stdin)
    assert came.exit_code == 1
    assert said in came.output
    assert {one[0] for one in server.seen} == {"GET"}


@pytest.mark.parametrize("stage", ["denied", "withdrawn", "lapsed", "ending", "ended"])
def test_no_kubeconfig_of_what_is_over(server: Any, token: Path, tmp_path: Path, stage: str) -> None:
    server.answers["/v1/requests/r1"] = (200, {**LIFE, "stage": stage})
    came = run(server.url, token, "kubeconfig", "r1", "--out", str(tmp_path / "kubeconfig"))
    assert came.exit_code == 1
    assert f"nothing to reach any more: r1: {stage}" in came.output
    assert not (tmp_path / "kubeconfig").exists()


def test_a_stage_that_there_is_not(server: Any, token: Path) -> None:
    came = run(server.url, token, "list", "--stage", "pending,activ")
    assert came.exit_code == 2
    assert "there is no 'activ'; there are pending, denied" in came.output
    assert not server.seen


@pytest.mark.parametrize(
    ("form", "pages", "whole"),
    [
        ("csv", (b"seq,time\r\n0,a\r\n", b"seq,time\r\n1,b\r\n"), "seq,time\r\n0,a\r\n1,b\r\n"),
        ("ocsf", (b'{"a":1}\n', b'{"a":2}\n'), '{"a":1}\n{"a":2}\n'),
        ("cloudevents", (b'[{"id":"0"},{"id":"1"}]', b"[]"), '{"id": "0"}\n{"id": "1"}\n'),
    ],
)
def test_the_log_is_fetched_page_by_page(
    server: Any, token: Path, form: str, pages: tuple[bytes, bytes], whole: str
) -> None:
    first = f"/v1/log/entries?format={form}&from=0&personal=true"
    server.answers |= {first: (200, pages[0]), "/v1/log/entries?from=9": (200, pages[1])}
    server.more[first] = {"Link": '</v1/log/entries?from=9>; rel="next"'}
    came = run(server.url, token, "log", "entries", "--format", form)
    assert (came.exit_code, came.output_bytes.decode()) == (0, whole)


def test_a_checkpoint_and_proofs_are_fetched_as_they_are(server: Any, token: Path) -> None:
    server.answers |= {
        "/v1/log/checkpoint": (200, b"a\n\n\xe2\x80\x94 b c\n"),
        "/v1/log/proof?entry=3": (200, b"proof\n"),
        "/v1/log/consistency?from=5": (200, b"old 5\n"),
    }
    assert run(server.url, token, "log", "checkpoint").output == "a\n\n— b c\n"
    assert run(server.url, token, "log", "proof", "3").output == "proof\n"
    assert run(server.url, token, "log", "consistency", "5").output == "old 5\n"
    assert run(server.url, token, "log", "proof", "-1").exit_code == 2
    assert "there is no request" in run(server.url, token, "log", "proof", "4").output


def test_what_is_next_is_of_the_same_server(server: Any, token: Path) -> None:
    first = "/v1/log/entries?format=csv&from=0&personal=true"
    server.answers[first] = (200, b"seq\r\n")
    server.more[first] = {"Link": '<@evil.example/v1/>; rel="next"'}
    assert run(server.url, token, "log", "entries").exit_code == 0
    assert [one[1] for one in server.seen] == [first]


def test_what_a_server_has_for_whoever_asks(server: Any, token: Path) -> None:
    one = {
        "name": "fix",
        "tier": "standard",
        "clusterWide": False,
        "defaultDurationS": 1800,
        "maxDurationS": 5400,
        "quorum": {"slots": [{}, {}]},
        "stepUp": {"request": "totp", "approval": "none"},
        "ticket": {"need": "optional"},
        "description": "Restart what hangs.",
        "mayAsk": True,
        "mayAskInEmergency": True,
        "mayApprove": False,
    }
    other = {**one, "name": "peek", "quorum": {}, "mayAsk": False, "mayAskInEmergency": False}
    server.answers["/v1/templates"] = (200, {"items": [one, other], "policyDigest": "sha256:1"})
    table = run(server.url, token, "templates", "offered").output.splitlines()
    assert table[1].split("   ")[-1] == "ask, ask in emergency"
    assert table[1].startswith("fix    standard   namespace   30m       90m    2        totp/none   optional")
    assert [line.split()[0] for line in table[1:]] == ["fix", "peek"]
    assert "nobody" in table[2]
    mine = run(server.url, token, "templates", "offered", "--mine", "-o", "json").output
    assert [each["name"] for each in json.loads(mine)] == ["fix"]


JOURNALED = {
    "record": "00",
    "grant": "r1",
    "at": "2026-11-29T08:52:22.246Z",
    "isJournaled": True,
    "isRemoved": True,
    "detail": "revoked; it is gone from cluster demo; the database is out of reach: ...",
}


@pytest.mark.parametrize(
    ("args", "path", "said"),
    [
        (["revoke", "r1", "-m", "now"], "grants/r1:revoke", f"r1: {JOURNALED['detail']}\n"),
        (["return", "r1"], "grants/r1:return", f"r1: {JOURNALED['detail']}\n"),
        (["kill", "-m", "now"], "killswitch:pull", f"{JOURNALED['detail']}\n"),
    ],
)
def test_what_was_done_without_the_database_is_said_as_the_server_says_it(
    server: Any, token: Path, args: list[str], path: str, said: str
) -> None:
    server.answers[f"/v1/{path}"] = (202, JOURNALED)
    came = run(server.url, token, *args)
    assert (came.exit_code, came.output) == (0, said)
    came = run(server.url, token, *args, "-o", "json")
    assert json.loads(came.stdout) == JOURNALED


IN_OUTAGE = {
    "at": "2026-11-29T08:52:00.000Z",
    "by": {"issuer": "idp", "subject": "max"},
    "why": "a breach",
    "isRemoved": False,
}


def test_what_a_server_ended_without_its_database_is_not_shown_as_active(
    server: Any, token: Path, tmp_path: Path
) -> None:
    found = {**LIFE, "stage": "active", "end": "2026-11-29T09:30:00.000Z", "endedInOutage": IN_OUTAGE}
    server.answers |= {
        "/v1/requests/r1": (200, found),
    }
    shown = run(server.url, token, "show", "r1")
    assert shown.exit_code == 0, shown.output
    first, *lines = shown.output.splitlines()
    assert first == "r1: ended in outage (a breach)"
    assert "  over       2026-11-29T08:52:00.000Z by max of idp" in lines
    assert any("the database does not yet" in one for one in lines)
    assert any("not all is gone from the clusters yet" in one for one in lines)
    assert not any(one.startswith("  ends ") for one in lines)
    kubeconfig = run(server.url, token, "kubeconfig", "r1", "--out", str(tmp_path / "config"))
    assert kubeconfig.exit_code == 1
    assert "there is nothing to reach any more: r1: ended in outage" in kubeconfig.output
    (row,) = rows([found], wide=False)
    assert row[-2:] == ["ended in outage", "11-29 08:52"]


def test_a_pull_of_which_the_database_does_not_know_is_told_and_not_cleared(server: Any, token: Path) -> None:
    switch = {
        "pulls": 0,
        "isPulled": True,
        "pulledBy": IN_OUTAGE["by"],
        "pulledAt": IN_OUTAGE["at"],
        "why": "a breach",
        "clearing": [],
        "pulledInOutage": IN_OUTAGE,
    }
    server.answers |= {"/v1/killswitch": (200, switch)}
    told = run(server.url, token, "clear", stdin="y\n")
    assert told.exit_code == 1
    assert "the kill switch is pulled: here, in an outage, at 2026-11-29T08:52:00.000Z" in told.output
    assert "it can be cleared once the database knows of it" in told.output
    assert [one[:2] for one in server.seen] == [("GET", "/v1/killswitch")]
