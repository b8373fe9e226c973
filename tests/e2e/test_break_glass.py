"""Break glass as docs/break-glass.md walks through it: asked for, agreed to by two, used with kubectl, and revoked."""

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aliquot.access.reports.catalogue import REPORTS
from tests.cli.test_node_validate import free_port
from tests.e2e.commands import ALIQUOT, AUDIT_LOG, ROOT, SHELL, Kubectl, Result, aliquot, eventually

pytestmark = pytest.mark.e2e

PEOPLE = ("dora", "lea", "sam")
PAGE = (ROOT / "docs/break-glass.md").read_text()


def shown(name: str) -> str:
    """A file that the walk has its reader write."""
    return PAGE.partition(f"$ cat > {name} <<'E'\n")[2].partition("\nE\n")[0] + "\n"


class Installation:
    """A server of break glass for one cluster, and people with tokens."""

    def __init__(self, admin: Kubectl, folder: Path) -> None:
        self.admin = admin
        self.folder = folder
        self.port, self.metrics_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        for name in ("shop-logs.yaml", "who.yaml", "policy.yaml", "access.yaml"):
            (self.folder / name).write_text(shown(name).replace(":8443", f":{self.port}"))
        for name in ("shop", "people"):
            self.admin("create", "namespace", name)
        for name in PEOPLE:
            self.admin("create", "serviceaccount", name, "-n", "people")
        made = self.aliquot("cluster-objects", "shop-logs.yaml", "--bindings", "who.yaml", "--token-reviews")
        self.apply(made)
        token = self.admin("create", "token", "aliquot-access-agent", "-n", "aliquot-system")
        config = json.loads(self.admin("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": token.strip()}
        (self.folder / "agent.kubeconfig").write_text(json.dumps(config))
        for name in PEOPLE:
            token = self.admin("create", "token", name, "-n", "people", "--audience=aliquot-access")
            (self.folder / f"{name}.token").write_text(token)
        (self.folder / "demo.audit").write_text(secrets.token_hex(32))
        self.aliquot("log", "new-key", "demo.example.com/access", "--out", "log.key")

    def read_audit_log(self) -> str:
        log = Path(self.admin.kubeconfig).with_name(AUDIT_LOG)
        if not log.exists():
            pytest.skip("nobody here knows where this cluster's audit log is")
        return self.aliquot("audit", "read", str(log), "--cluster", "demo", "--token-file", "demo.audit")

    def apply(self, manifests: str) -> str:
        """Into the namespaces that they name."""
        return self.kubectl("apply", "-f", "-", stdin=manifests)

    def kubectl(self, *args: str, stdin: str = "") -> str:
        """Where the server's files lie."""
        done = subprocess.run(
            [self.admin.binary, "--kubeconfig", self.admin.kubeconfig, *args],
            check=True,
            input=stdin,
            cwd=self.folder,
            text=True,
            capture_output=True,
            timeout=60,
        )
        return done.stdout

    def aliquot(self, *args: str) -> str:
        result = self.run(*args)
        assert result.code == 0, f"{args}: {result.err}"
        return result.out

    def run(self, *args: str, stdin: str = "") -> Result:
        done = subprocess.run(
            [ALIQUOT, "access", *args],
            check=False,
            text=True,
            input=stdin,
            capture_output=True,
            timeout=60,
            cwd=self.folder,
            env=self._environment(),
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def by(self, who: str, *args: str, stdin: str = "") -> str:
        result = self.run(*args, "--token-file", f"{who}.token", stdin=stdin)
        assert result.code == 0, f"{who}: {args}: {result.err}"
        return result.out

    def refused(self, who: str, *args: str, stdin: str = "") -> str:
        result = self.run(*args, "--token-file", f"{who}.token", stdin=stdin)
        assert result.code == 1, f"{who}: {args}: {result.out}"
        return result.err

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, has_database: bool = True, config: str = "access.yaml") -> None:
        log = (self.folder / "serve.log").open("ab")
        self._process = subprocess.Popen(
            [
                *(ALIQUOT, "access", "serve", "--config", config),
                *("--metrics-address", "127.0.0.1", "--metrics-port", str(self.metrics_port)),
            ],
            cwd=self.folder,
            env=self._environment(),
            stderr=log,
            stdout=log,
        )
        log.close()

        def answers() -> bool:
            came = self.run("list", "--token-file", "dora.token")
            return came.code == 0 if has_database else "out of reach" in came.err

        eventually(answers)

    def seen(self, path: str) -> str:
        """What Prometheus and probes see."""
        url = f"http://127.0.0.1:{self.metrics_port}/{path}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            text: str = answer.read().decode()
        return text

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    def show(self, who: str, grant: str) -> Any:
        return json.loads(self.by(who, "show", grant, "-o", "json"))

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ALIQUOT_ACCESS_SERVER": f"http://127.0.0.1:{self.port}",
            "ALIQUOT_ACCESS_TOKEN_CLUSTER": "demo",
        }


@pytest.fixture(scope="module")
def installation(cluster: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    admin = Kubectl(cluster)
    found = Installation(admin, tmp_path_factory.mktemp("access"))
    found.install()
    found.start()
    try:
        yield found
    finally:
        found.stop()
        for name in ("shop", "people"):
            admin("delete", "namespace", name, "--wait=false")


def asked(installation: Installation) -> str:
    came = installation.by(
        *("dora", "request", "shop-logs", "--cluster", "demo", "-n", "shop"),
        *("-m", "checkout is down", "-o", "json"),
    )
    return str(json.loads(came)["id"])


def active(installation: Installation) -> str:
    grant = asked(installation)
    assert installation.by("lea", "approve", grant, stdin="y\n").endswith(f"{grant}: pending\n")
    assert installation.by("sam", "approve", grant, stdin="y\n").endswith(f"{grant}: approved\n")
    assert "active until" in installation.by("dora", "activate", grant)
    return grant


def test_the_whole_way(installation: Installation) -> None:
    admin, folder = installation.admin, installation.folder
    admin("run", "web", "-n", "shop", f"--image={SHELL}", "--", "sh", "-c", "echo words; sleep 1000")
    admin("wait", "pod/web", "-n", "shop", "--for=condition=Ready", "--timeout=30s")
    what = ("shop-logs", "--cluster", "demo", "-n", "shop")
    assert "shop-logs" in installation.by("dora", "templates", "offered", "--mine")
    assert "agreed to  by 2" in installation.by("dora", "simulate", *what)
    assert "not of those who may ask" in installation.refused("lea", "simulate", *what)
    grant = active(installation)
    installation.by("dora", "kubeconfig", grant, "--out", "dora.kubeconfig")
    assert (folder / "dora.kubeconfig").stat().st_mode & 0o777 == 0o600
    holder = Kubectl(folder / "dora.kubeconfig", "shop")
    assert holder("logs", "web")
    assert "web" in holder("get", "pods")
    assert "forbidden" in holder.refused("get", "secrets").lower()
    assert "forbidden" in holder.refused("get", "pods", "-A").lower()
    made = json.loads(installation.by("dora", "credential", grant))
    assert "it is not yours" in installation.refused("sam", "credential", grant)
    token = (f"--token={made['status']['token']}", "--kubeconfig", str(folder / "bare.kubeconfig"))
    bare = json.loads((folder / "dora.kubeconfig").read_text())
    bare["users"] = []
    bare["contexts"][0]["context"].pop("user")
    (folder / "bare.kubeconfig").write_text(json.dumps(bare))
    assert admin("logs", "web", "-n", "shop", *token)
    begun = time.monotonic()
    assert "ending" in installation.by("sam", "revoke", grant, "-m", "enough")
    eventually(lambda: admin.run("logs", "web", "-n", "shop", *token).code != 0)
    assert time.monotonic() - begun < 30
    assert "not active" in holder.refused("logs", "web")
    eventually(lambda: installation.show("dora", grant)["stage"] == "ended")
    assert grant not in admin("get", "rolebindings,jobs", "-n", "shop", "-o", "name")


def test_what_a_holder_did_is_told_and_what_no_grant_explains(installation: Installation) -> None:
    admin = installation.admin
    grant = active(installation)
    installation.by("dora", "kubeconfig", grant, "--out", "auditing.kubeconfig")
    holder = Kubectl(installation.folder / "auditing.kubeconfig", "shop")
    holder("get", "pods", "-o", "name")
    assert "forbidden" in holder.refused("get", "secrets").lower()
    account = f"aliquot-bg-{grant}"
    assert admin.run("create", "token", account, "-n", "aliquot-break-glass").code != 0
    installation.read_audit_log()
    used = json.loads(installation.by("dora", "used", grant, "-o", "json"))
    assert [(one["verb"], one["resource"], one["namespace"]) for one in used["read"]] == [
        ("list", "pods", "shop")
    ]
    assert [(one["verb"], one["resource"]) for one in used["denied"]] == [("list", "secrets")]
    assert used["agents"][0]["name"].startswith("kubectl")
    assert [(one["resources"], one["verbs"]) for one in used["unused"]] == [
        (["pods"], ["get"]),
        (["pods/log"], ["get", "list"]),
    ]
    assert "never used, 3 of 4 rights" in installation.by("dora", "used", grant)
    assert "there is no request" in installation.refused("lea", "used", "r" + "0" * 26)
    found = json.loads(installation.by("sam", "audit", "findings", "-o", "json"))
    tried = [one for one in found if one["rule"] == "token_request" and account in one["about"]]
    assert [one["text"].endswith("and was refused") for one in tried] == [True]
    assert not {"unknown_credential", "unknown_grant", "used_after_end"} & {one["rule"] for one in found}
    assert "is not of those who may see" in installation.refused("dora", "audit", "findings")
    # Read once more, nothing of it counts twice.
    installation.read_audit_log()
    assert json.loads(installation.by("dora", "used", grant, "-o", "json"))["read"] == used["read"]
    assert len(json.loads(installation.by("sam", "audit", "findings", "-o", "json"))) == len(found)
    installation.by("dora", "return", grant)


def figure(text: str, name: str) -> float:
    return float(text.partition(f"\naliquot_access_{name} ")[2].partition("\n")[0])


def test_what_probes_and_prometheus_see(installation: Installation) -> None:
    grant = active(installation)
    eventually(lambda: json.loads(installation.seen("readyz"))["ready"])
    checks = json.loads(installation.seen("readyz"))["checks"]
    assert {"database", "policy", "log", "cluster demo"} <= set(checks)
    text = installation.seen("metrics")
    assert 'aliquot_access_grants_active{template="shop-logs",cluster="demo"} 1' in text
    assert figure(text, "approvals_total") >= 2
    installation.by("dora", "return", grant)
    eventually(lambda: installation.show("dora", grant)["stage"] == "ended")
    assert figure(installation.seen("metrics"), "revocation_seconds_count") >= 1


def test_nobody_agrees_to_their_own_and_nobody_to_something_else(installation: Installation) -> None:
    grant = asked(installation)
    assert "asked for themselves" in installation.refused("dora", "approve", grant, stdin="y\n")
    assert "another request" in installation.refused("lea", "approve", grant, "--digest", "sha256:0")
    assert installation.run("approve", grant, "--token-file", "lea.token", stdin="n\n").code == 1
    assert installation.show("dora", grant)["approvals"] == []
    assert installation.by("dora", "withdraw", grant) == f"{grant}: withdrawn\n"


def test_a_server_that_is_killed_goes_on_where_it_was(installation: Installation) -> None:
    grant = active(installation)
    installation.stop(signal.SIGKILL)
    assert "does not answer" in installation.refused("dora", "list")
    installation.start()
    assert installation.show("dora", grant)["stage"] == "active"
    after = installation.by("dora", "return", grant)
    assert after in (f"{grant}: ending (returned)\n", f"{grant}: ended (returned)\n")
    eventually(lambda: installation.show("dora", grant)["stage"] == "ended")


def test_the_log_of_it_holds(installation: Installation) -> None:
    public = json.loads((installation.folder / "serve.log").read_text().splitlines()[0])["log"]
    dump = installation.run("log", "dump", "--database", "sqlite:///access.db", "--key", "log.key")
    assert dump.code == 0, dump.err
    (installation.folder / "dump.jsonl").write_text(dump.out)
    checked = aliquot("access", "log", "verify", installation.folder / "dump.jsonl", "--key", public)
    assert checked.code == 0, checked.out


def test_reports_of_it_are_drawn_again_from_the_log_alone(installation: Installation) -> None:
    folder = installation.folder
    public = json.loads((folder / "serve.log").read_text().splitlines()[0])["log"]
    assert "is not of those who may have reports" in installation.refused(
        "dora", "report", "approvals", "--from", "2026-01-01"
    )
    for name in REPORTS:
        written = ("--raw", f"{name}.jsonl", "--html", f"{name}.html", "--csv", f"{name}.csv")
        assert installation.by("sam", "report", name, "--from", "2026-01-01", *written) == ""
        assert "<h1>" in (folder / f"{name}.html").read_text()
    told = installation.by("sam", "report", "approvals", "--from", "2026-01-01").split()
    assert "attempts to approve one's own request, all refused 1" in " ".join(told)
    dump = installation.run("log", "dump", "--database", "sqlite:///access.db", "--key", "log.key")
    (folder / "reported.jsonl").write_text(dump.out)
    for name in REPORTS:
        checked = installation.run("log", "verify-report", f"{name}.jsonl", "reported.jsonl", "--key", public)
        assert checked.code == 0, (name, checked)
        assert "drawn again from the first" in checked.out


def test_what_is_broken_is_told_before_anything_runs(installation: Installation) -> None:
    (installation.folder / "broken.yaml").write_text(shown("access.yaml").replace("listen", "lisen"))
    came = installation.run("serve", "--config", "broken.yaml")
    assert came.code == 1
    assert "broken.yaml:2: unknown field 'lisen'; did you mean 'listen'?" in came.err


@pytest.mark.parametrize(
    ("database", "replicas", "kind", "options"),
    [
        ("postgresql://access@db.example.com/access", 2, "deployment", ()),
        ("postgresql://access@db.example.com/access", 2, "statefulset", ("--storage", "1Gi")),
        ("sqlite:////var/lib/aliquot/access.db", 1, "deployment", ()),
    ],
    ids=["postgresql", "postgresql with volumes", "sqlite"],
)
def test_a_server_stands_in_a_cluster(
    installation: Installation, database: str, replicas: int, kind: str, options: tuple[str, ...]
) -> None:
    config = (installation.folder / "access.yaml").read_text()
    config = config.replace(f"127.0.0.1:{installation.port}", "0.0.0.0:8443")
    config = config.replace("sqlite:///access.db", database)
    (installation.folder / "pod.yaml").write_text(
        config
        + "tls: {certificateFile: tls.crt, keyFile: tls.key}\n"
        + "journal: /var/lib/aliquot/access.journal\n"
    )
    done = installation.run("server-objects", "pod.yaml", *options)
    assert done.code == 0, done.err
    for name in ("tls.crt", "tls.key"):
        (installation.folder / name).write_text("as cert-manager writes it")
    _, _, command = done.err.partition("kubectl ")
    namespace = ("-n", "aliquot-system")
    admin = installation.admin
    try:
        installation.kubectl(*command.split())
        installation.apply(done.out)
        eventually(lambda: _pods(admin) == replicas)
        shown_ = admin(
            *("get", kind, "aliquot-access-server", *namespace),
            *("-o", "jsonpath={.spec.replicas}"),
        )
        assert shown_ == str(replicas)
        # Applied again it is what it was. kubectl never says so of what it replaces whole: selectors of budgets, claims of StatefulSets.
        again = installation.apply(done.out)
        other = [line.partition(".")[0] for line in again.splitlines() if not line.endswith(" unchanged")]
        assert set(other) <= {"poddisruptionbudget", "statefulset"}
    finally:
        installation.kubectl("delete", "secret", "aliquot-access", *namespace)
        installation.kubectl("delete", "-f", "-", stdin=done.out)


def _pods(admin: Kubectl) -> int:
    pods = admin(
        "get",
        "pods",
        "-n",
        "aliquot-system",
        "-l",
        "app.kubernetes.io/name=aliquot-access-server",
        "-o",
        "name",
    )
    return len(pods.split())


def test_two_servers_on_one_postgresql(installation: Installation, postgresql: str) -> None:
    # With another database it would take away what this one gave.
    installation.stop()
    first, second = (Installation(installation.admin, installation.folder) for _ in range(2))
    servers = {"first": first, "second": second}
    config = (installation.folder / "access.yaml").read_text()
    for name, server in servers.items():
        own = config.replace("sqlite:///access.db", postgresql).replace(
            f":{installation.port}", f":{server.port}"
        )
        (installation.folder / f"{name}.yaml").write_text(f"{own}journal: {name}.journal\n")
        server.start(config=f"{name}.yaml")
    try:
        grant = asked(first)
        first.by("lea", "approve", grant, stdin="y\n")
        second.by("sam", "approve", grant, stdin="y\n")
        assert "active until" in first.by("dora", "activate", grant)
        other = first.stop(signal.SIGKILL)
        assert other == -signal.SIGKILL
        assert second.show("dora", grant)["stage"] == "active"
        second.by("sam", "revoke", grant, "-m", "checkout is up")
        eventually(lambda: second.show("sam", grant)["stage"] == "ended")
        dump = second.aliquot("log", "dump", "--database", postgresql, "--key", "log.key")
        actions = [json.loads(line).get("action", "") for line in dump.splitlines()]
        for once in ("intends.makeGrant", "grant.active", "intends.removeGrant", "grant.ended"):
            assert actions.count(once) == 1, (once, actions)
    finally:
        second.stop()
        installation.start()
