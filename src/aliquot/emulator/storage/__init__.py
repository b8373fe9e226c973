"""What is kept: every object as JSON, each write a commit, and the events that watches live on.

persistence   the file: SQLite, one transaction for a batch of writes
store         objects by resource, namespace and name; revisions, history, watchers
storage       the same by what is served: versions converted, conflicts in Kubernetes' words
taking_over   a state that another version of Kubernetes wrote
"""
