"""Grants in a cluster: how they are made, how they end, and who sees to it when all of us are dead.

A grant is a ServiceAccount that nobody else has, a Secret to which its short-lived tokens are bound, a binding that names that
ServiceAccount alone, and Jobs without pods that own these and run out at the grant's end: Kubernetes' own controllers then delete
them. `grants` says what that is (pure), `making` makes and removes it, `credentials` gives out tokens, `policies` and `roles` keep
others from it, `agent` repairs it and finds what should not be there, `sentinel` deletes what is past due, by itself.

Nothing here knows who may have what: that is decided before.
"""
