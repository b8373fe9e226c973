"""Break glass for benchmarks: an emulated cluster, `aliquot access serve` beside it, and people of its own with sessions."""

import asyncio
import random
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from aliquot import document
from aliquot.access.cluster import installation
from aliquot.access.cluster.naming import AGENT
from aliquot.access.core.people import Person
from aliquot.access.core.templates.bindings import parse_bindings
from aliquot.access.core.templates.catalogue import catalogue
from aliquot.access.core.templates.template import Template
from aliquot.access.identity import records, server_key
from aliquot.access.identity.book import Writer
from aliquot.access.identity.local import accounts, sessions
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.cli import identities
from aliquot.clock import SystemClock
from aliquot.kube import kubeconfig
from aliquot.kube.client import Client
from aliquot.kube.resources import NAMESPACES, SERVICEACCOUNTS
from benchmarks.clusters import ALIQUOT, cluster

CLUSTER, NAMESPACE = "demo", "shop"
ISSUER = "https://access.example.com"
GROUPS = ("developers", "leads", "security", "platform")
TEMPLATES = 20
_TEMPLATE = """\
name: shop-logs-{number}
owner: platform
description: Logs of the shop's pods.
tier: standard
requesters: [developers]
rules:
- {{apiGroups: [""], resources: [pods, pods/log], verbs: [get, list]}}
clusters: ["*"]
namespaces: ["{namespace}"]
times: {{default: 30m, most: 1h, withExtensions: 2h}}
stepUp: {{request: none, approval: none}}
ticket: {{need: optional}}
approval: {{slots: [[leads], [security]]}}
mostPerPerson: 1000
mostAtOnce: 1000
"""
"""Many of them: how much of one template is open at a time has a limit, which is counted each time."""


@dataclass(frozen=True)
class Installation:
    url: str
    tokens: Mapping[str, str]
    """Of people, by their names."""
    server: psutil.Process
    kubeconfig: Path
    database: str


@contextmanager
def installed(people: Mapping[str, Sequence[str]]) -> Iterator[Installation]:
    """`people`: names and groups."""
    with cluster("--nodes", "0") as running:
        folder = running.kubeconfig.parent / "access"
        folder.mkdir()
        _write_files(folder)
        _prepare_cluster(running.kubeconfig, folder)
        database = f"sqlite:///{folder}/access.db"
        tokens = asyncio.run(_sessions(database, folder, people))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "access.yaml").write_text(yaml.safe_dump(_configuration(database, port)))
        subprocess.run(
            [ALIQUOT, "access", "log", "new-key", "bench.example.com/access", "--out", folder / "log.key"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                [ALIQUOT, "access", "serve", "--config", folder / "access.yaml"], stdout=log, stderr=log
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, process)
            yield Installation(url, tokens, psutil.Process(process.pid), running.kubeconfig, database)
        finally:
            process.terminate()
            process.wait(30)


def _write_files(folder: Path) -> None:
    roles = {name: {"groups": [f"{ISSUER}#{name}"]} for name in GROUPS}
    (folder / "who.yaml").write_text(yaml.safe_dump({"roles": roles}))
    policy = {
        "security": ["security"],
        "clearing": {"slots": [["platform"], ["security"]]},
        "ceiling": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    (folder / "policy.yaml").write_text(yaml.safe_dump(policy))
    templates = [_TEMPLATE.format(number=number, namespace=NAMESPACE) for number in range(TEMPLATES)]
    (folder / "templates.yaml").write_text("---\n".join(templates))


def _configuration(database: str, port: int) -> object:
    return {
        "database": database,
        "listen": f"127.0.0.1:{port}",
        "policyFile": "policy.yaml",
        "bindingsFile": "who.yaml",
        "templates": ["templates.yaml"],
        "logKeyFile": "log.key",
        "clusters": [{"name": CLUSTER, "kubeconfig": "agent.kubeconfig"}],
        "identity": {
            "keyFile": "identity.key",
            "local": {"issuer": ISSUER, "relyingParty": "access.example.com", "origins": [ISSUER]},
        },
    }


def _prepare_cluster(config: Path, folder: Path) -> None:
    documents = document.parse_all((folder / "templates.yaml").read_text(), source="templates.yaml")
    bindings = parse_bindings((folder / "who.yaml").read_text(), "who.yaml")
    token = asyncio.run(_install(config, catalogue(documents, bindings).values()))
    agent = yaml.safe_load(config.read_text())
    agent["users"][0]["user"] = {"token": token}
    (folder / "agent.kubeconfig").write_text(yaml.safe_dump(agent))


async def _install(config: Path, templates: Iterable[Template]) -> str:
    """The agent's token."""
    connection = kubeconfig.load(str(config), None)
    transport = connection.transport()
    try:
        client = Client(transport, clock=SystemClock(), rng=random.Random(1))
        made, held = installation.of_templates(templates)
        await installation.install(client, installation.objects(made, held))
        await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        account = identities.account(AGENT)
        place, name = account.user.split(":")[-2:]
        given = await client.create(SERVICEACCOUNTS, asked, place, subresource="token", name=name)
        return str(given["status"]["token"])
    finally:
        await transport.close()


async def _sessions(database: str, folder: Path, people: Mapping[str, Sequence[str]]) -> dict[str, str]:
    prepared = Database(database)
    prepared.prepare()
    store = Store(prepared, clock=SystemClock())
    key = server_key.load(folder / "identity.key")
    tokens = {}
    for name, groups in people.items():
        person = Person(ISSUER, name)

        def work(tx: Writer, person: Person = person, groups: Sequence[str] = groups) -> str:
            accounts.add(tx, person, local_issuer=ISSUER, groups=groups)
            account = records.account(tx, person)
            assert account is not None
            return sessions.opened(tx, key, account, "passkey", secrets.token_bytes).token

        tokens[name] = await store.write(work)
    store.close()
    return tokens


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
        except urllib.error.URLError:
            time.sleep(0.05)
            continue
        return
    raise SystemExit(f"`aliquot access serve` ended with {process.returncode}; `--check` says why")
