"""A Kubernetes API and its nodes in one process, for those who have no cluster.

A request comes in through `server` and `http/`, `app` finds out who asks (`authentication/`), whether they may
(`rbac/`, `node_access/`) and what they ask for (`registry`, `discovery`), and gives it to one of the `verbs/`. A write
is read by its kind's `schema/`, changed by `patching/`, looked at by `admission/` and kept in `storage/`. `kinds/` is
what the kinds have of their own. `controllers/` and `kubelet/` act on what is stored; they are clients like any other.
"""
