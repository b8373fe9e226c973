"""Queues: who may have how much, who goes next, and who gives back. Asks nothing of Kubernetes, tells no time.

    QueueSpec --tree--> QueueTree
    requests, capacity --fair_share--> Shares
    placements --ledger--> Ledger          what each queue and all above it hold, and whether more is allowed
    Ledger, Shares --order--> which queue is next
    Ledger, Shares --reclaim--> whether one job may be evicted for another

All amounts are in the one currency of `terms`: what counts how much of it is `currency`'s.
"""
