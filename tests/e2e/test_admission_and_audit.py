"""A webhook of one's own and the audit log, with `aliquot up` and kubectl."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import SystemClock
from aliquot.emulator.certificates import Authority
from tests.e2e.commands import Kubectl, aliquot

pytestmark = pytest.mark.e2e

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  resources: [{group: "", resources: [configmaps]}]
  verbs: [create]
- level: None
"""


class _Webhook(BaseHTTPRequestHandler):
    """Labels ConfigMaps, and refuses those that are called `no`."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = review["request"]
        response: dict[str, Any] = {"uid": asked["uid"], "allowed": asked.get("name") != "no"}
        if not response["allowed"]:
            response["status"] = {"message": "that name is taken by the word", "code": 403}
        elif self.path.startswith("/mutate"):
            labels = {"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}
            response |= {
                "patchType": "JSONPatch",
                "patch": base64.b64encode(json.dumps([labels]).encode()).decode(),
                "warnings": ["labelled for you"],
            }
        answer = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The clientConfig of a webhook that runs."""
    authority = Authority(tmp_path / "pki", clock=SystemClock())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server_files)
    server = HTTPServer(("127.0.0.1", 0), _Webhook)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "url": f"https://127.0.0.1:{server.server_port}/",
        "caBundle": base64.b64encode(authority.certificate).decode(),
    }
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_changes_and_refuses_and_the_log_has_it(tmp_path: Path, webhook: dict[str, str]) -> None:
    state, policy, log = tmp_path / "state", tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text(POLICY)
    up = aliquot(
        "up", "--detach", "--state", state, "--nodes", "0", "--audit-policy", policy, "--audit-log", log
    )
    try:
        assert up.code == 0, up.err
        kubectl = Kubectl(state / "kubeconfig")
        rule = {
            "operations": ["CREATE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["configmaps"],
        }
        hook = {
            "name": "h.example.com",
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {**webhook, "url": f"{webhook['url']}mutate"},
        }
        configuration = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "w"},
            "webhooks": [hook],
        }
        kubectl("apply", "-f", "-", stdin=json.dumps(configuration))
        assert kubectl("get", "mutatingwebhookconfigurations", "--no-headers").split()[:2] == ["w", "1"]

        made = kubectl.run("create", "configmap", "yes", "--from-literal=a=1")
        assert (made.code, made.err) == (0, "Warning: labelled for you\n")
        assert kubectl.json("get", "configmap", "yes")["metadata"]["labels"] == {"seen": "yes"}
        refused = kubectl.run("create", "configmap", "no", "--from-literal=a=1")
        assert refused.code == 1
        assert (
            'admission webhook "h.example.com" denied the request: that name is taken by the word'
            in refused.err
        )
    finally:
        aliquot("down", "--state", state)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    ours = [event for event in events if event["user"]["username"] == "aliquot-admin"]
    assert [(event["objectRef"]["name"], event["responseStatus"]["code"]) for event in ours] == [
        ("yes", 201),
        ("no", 403),
    ]
    assert ours[0]["requestObject"]["data"] == {"a": "1"}
    assert ours[0]["sourceIPs"] == ["127.0.0.1"]
    assert ours[0]["userAgent"].startswith("kubectl/")
    assert json.loads(ours[0]["annotations"]["mutation.webhook.admission.k8s.io/round_0_index_0"])["mutated"]


def test_a_policy_that_is_wrong_is_one_line_and_starts_nothing(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Loud\n")
    up = aliquot(
        "up", "--state", tmp_path / "state", "--audit-policy", policy, "--audit-log", tmp_path / "log"
    )
    assert up.code == 1
    assert up.err.startswith(f"error: --audit-policy: {policy}:4: ")
    assert len(up.err.splitlines()) == 1
    assert not (tmp_path / "log").exists()
