"""The access log: a dump of a million entries verified by the file that auditors run, beside hashing its lines and nothing else.

Both are processes of their own that read the same file; their CPU time and the most memory they held are the kernel's figures.
And what appending costs: sealing entries and signing the head, beside making their canonical JSON alone.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import rfc8785

from aliquot.access.log import verify
from aliquot.access.log.checkpoints import sign
from aliquot.access.log.entries import Actor, Draft
from aliquot.access.log.notes import SigningKey, new_key
from aliquot.access.log.storage import Head, digest, seal
from aliquot.access.log.tree import EMPTY_ROOT, Tree, leaf_hash
from benchmarks.clusters import machine
from benchmarks.measured import run

ENTRIES = 1_000_000
BETWEEN_CHECKPOINTS = 1_000
GOAL_S, GOAL_MIB = 30, 300

_HASHING = """\
import hashlib, sys
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        hashlib.sha256(line).digest()
"""


def main(short: bool = False) -> None:
    count = ENTRIES // 20 if short else ENTRIES
    key = new_key("aliquot.example.com/access", verify.ED25519, b"k" * 32)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "dump.jsonl"
        with path.open("wb") as file:
            file.writelines(dump(count, key))
        size_mib = path.stat().st_size / 2**20
        hashing = run([sys.executable, "-c", _HASHING, str(path)])
        verifying = run([sys.executable, verify.__file__, str(path), "--key", key.public.text])
    print(f"{count} entries, {size_mib:.0f} MiB, a checkpoint each {BETWEEN_CHECKPOINTS} ({machine()})")
    print(f"  goal: a million under {GOAL_S} s and {GOAL_MIB} MiB")
    print(f"  {'':<22}{'entries/s':>10}{'wall s':>8}{'cpu s':>8}{'MiB':>6}{'x hashing':>11}")
    for name, one in (("hashing the lines", hashing), ("verify.py", verifying)):
        print(
            f"  {name:<22}{count / one.wall_s:>10.0f}{one.wall_s:>8.1f}{one.cpu_s:>8.1f}{one.most_mib:>6.0f}"
            f"{one.cpu_s / hashing.cpu_s:>11.1f}"
        )
    appended(2_000 if short else 20_000, key)


def dump(count: int, key: SigningKey) -> Iterator[bytes]:
    """A whole log. Its lines are written as canonical by the standard library, which is faster than making them canonical."""
    line = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
    tree, last, leaves = Tree(), EMPTY_ROOT, []
    yield line({"format": verify.FORMAT, "origin": key.name}).encode() + b"\n"
    for seq in range(count):
        entry = {
            "action": "credential.given",
            "actor": {"auth": "oidc", "credential": f"session-{seq % 97}", "iss": "https://login.example.com", "sub": f"u{seq % 499}"},
            "after": "ACTIVE",
            "before": "ACTIVE",
            "commitments": {"justification": f"sha256:{seq:064x}"},
            "details": {"cluster": "production-1", "lifetime_s": 600, "namespace": "payments"},
            "grant": f"r01k{seq // 7:022d}",
            "policy_digest": "sha256:" + "1" * 64,
            "prev": digest(last),
            "request_digest": "sha256:" + "2" * 64,
            "seq": seq,
            "time": f"2026-01-{1 + seq // 100_000:02}T{seq // 10_000 % 10:02}:{seq // 200 % 50:02}:{seq // 20 % 10:02}.000Z",
        }  # fmt: skip
        body = line(entry).encode()
        last = leaf_hash(body)
        leaves.append(last)
        yield body + b"\n"
        if (seq + 1) % BETWEEN_CHECKPOINTS == 0:
            tree, _ = tree.append(leaves)
            leaves = []
            yield line({"checkpoint": sign(tree, key, None, [])}).encode() + b"\n"
    yield line({"end": {"entries": count}}).encode() + b"\n"


def appended(count: int, key: SigningKey) -> None:
    """One at a time, each signed, as the slowest pace of checkpoints would have it."""
    actor = Actor("https://login.example.com", "u1", "oidc", "session-1")
    drafts = [
        Draft(
            time_s=1.79e9 + number,
            actor=actor,
            action="request.asked",
            grant=f"r01k{number:022d}",
            details={"cluster": "production-1", "namespace": "payments", "duration_s": 3600},
            personal={"justification": "payments are late"},
        )
        for number in range(count)
    ]
    head, bodies = Head(), []
    began = time.process_time()
    for draft in drafts:
        batch = seal(head, [draft], os.urandom)
        head = batch.head
        bodies.append(batch.entries[0].body)
    sealing_s = time.process_time() - began
    documents = [json.loads(body) for body in bodies]
    began = time.process_time()
    for document in documents:
        rfc8785.dumps(document)
    canonical_s = time.process_time() - began
    began = time.process_time()
    for _ in range(count // 10):
        sign(head.tree, key, None, [])
    signing_s = (time.process_time() - began) * 10
    print(f"{count} entries appended, microseconds of CPU for each")
    print(f"  {'canonical JSON':<22}{canonical_s / count * 1e6:>8.0f}")
    print(f"  {'sealed':<22}{sealing_s / count * 1e6:>8.0f}{sealing_s / canonical_s:>8.1f} times")
    print(f"  {'the head signed':<22}{signing_s / count * 1e6:>8.0f}{signing_s / canonical_s:>8.1f} times")
