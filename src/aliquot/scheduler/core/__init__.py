"""The decisions. Asks nothing of Kubernetes, waits for nothing, tells no time.

    Pending --order--> cycle --filters, scores--> Ranking --assign--> Session --undo or keep--> Snapshot

`policies` names the points at which a rule can be given; each rule is a pure function of one pod shape and one node. What
pods say of each other is judged by domain: `rules` has the words, `neighbours` the counts, `domains` the verdicts. Who finds
no room: `consolidation` moves others closer together, else `preemption` evicts. A shell feeds `Snapshot` and `Pending`, calls
`cycle.run`, and carries out what it returns.
"""
