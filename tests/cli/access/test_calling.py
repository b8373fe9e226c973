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

from aliquot.cli.access.asking import described
from aliquot.cli.access.group import access

LIFE: dict[str, Any] = {
    "id": "r1",
    "digest": "sha256:1",
    "stage": "pending",
    "why": "",
    "endReason": None,
    "end": None,
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
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[type[Recorder]]:
    made = type("One", (Recorder,), {"answers": {}, "seen": []})
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
        "/v1/requests/r1:approve": (200, {"stage": "approved"}),
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
        "1800 s",
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
        "/v1/requests/r1:approve": (200, {"stage": "approved"}),
    }
    came = run(server.url, token, "approve", "r1", "--digest", "sha256:1", "--code", "123456")
    assert came.exit_code == 0
    shown, agreed = (one[2].get("aliquot-proof") for one in server.seen)
    assert shown is None
    assert json.loads(base64.urlsafe_b64decode(f"{agreed}==")) == {"type": "totp", "code": "123456"}
