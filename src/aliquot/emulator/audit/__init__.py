"""Who did what, and what came of it: the audit log of a kube-apiserver (audit.k8s.io/v1).

`policy` says what is recorded of a request (pure), `events` are what is written (pure), `recording` follows one
request from its arrival to the last byte of its answer, `log_file` and `collector` take the events to where they are
kept. A server without an `Auditor` does none of it.
"""
