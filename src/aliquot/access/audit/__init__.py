"""Who did what: Kubernetes' audit events, joined to grants, and looked through for access that no grant gave.

`events` reads what API servers write, and keeps of it what is needed and no secret (pure); `joining` says whose an event is; `use` counts
what a grant was used for; `checks` find what should not be. `intake` writes what came of a batch, once, however often it comes.
"""
