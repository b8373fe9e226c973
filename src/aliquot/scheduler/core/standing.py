"""How queues stand: what each holds, asks for and is due, and how many jobs wait for it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.queues.tree import DEFAULT, ROOT


@dataclass(frozen=True, slots=True)
class Standing:
    allocated: Amounts = field(default_factory=dict)
    """By its jobs and those of the queues below it."""
    non_preemptible: Amounts = field(default_factory=dict)
    """The part of it that jobs hold which cannot be preempted."""
    requested: Amounts = field(default_factory=dict)
    """Allocated, and what jobs that wait ask for."""
    fair_share: Amounts = field(default_factory=dict)
    pending_jobs: int = 0
    """Those that are below their minimum."""


def standings(pending: Pending, names: Iterable[str] = ()) -> Mapping[str, Standing]:
    """Of every open queue, by name, and of those among `names` that are closed: they still have what their jobs took before."""
    accounts = pending.accounts
    tree, ledger, shares = accounts.tree, accounts.ledger, accounts.shares()
    requested: dict[str, Amounts] = {}
    for name, amounts in accounts.wanted.items():
        for queue in _upward(accounts, name):
            requested[queue] = together(requested.get(queue, {}), amounts)
    jobs: dict[str, int] = {}
    for name, count in _waiting(pending):
        for queue in _upward(accounts, name):
            jobs[queue] = jobs.get(queue, 0) + count
    found = {}
    for node in tree.nodes[ROOT + 1 :]:
        held: Amounts = dict(ledger.held(node.index))
        found[node.name] = Standing(
            held,
            dict(ledger.allocated_non_preemptible(node.name)),
            together(held, requested.get(node.name, {})),
            shares.of(node.name),
            jobs.get(node.name, 0),
        )
    for name in names:
        if name in tree:
            continue
        kept = ledger.named(name, preemptible=False)
        held = together(ledger.named(name, preemptible=True), kept)
        wanted = together(held, requested.get(name, {}))
        found[name] = Standing(held, dict(kept), wanted, pending_jobs=jobs.get(name, 0))
    return found


def _upward(accounts: Accounts, name: str) -> Iterator[str]:
    """The queue and those above it, as far as they are open."""
    yield name
    tree = accounts.tree
    if name in tree:
        parent = tree.node(name).parent
        while parent != ROOT:
            yield tree.nodes[parent].name
            parent = tree.nodes[parent].parent


def _waiting(pending: Pending) -> Iterator[tuple[str, int]]:
    """Queues, and how many jobs wait for them; one may come several times."""
    jobs = pending.jobs
    for line in pending.lines.values():
        yield jobs[line[0][-1]].spec.queue or DEFAULT, len(line)
    for rank in pending.begun.values():
        job = jobs[rank[-1]]
        # Extras are no matter of whether it runs.
        if job.lacks() != {}:
            yield job.spec.queue or DEFAULT, 1
