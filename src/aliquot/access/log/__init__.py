"""What was decided and done, so that it cannot be altered unnoticed, not even by us.

Entries are lines of canonical JSON (RFC 8785), leaves of a Merkle tree (RFC 6962) whose head is signed as a C2SP checkpoint, also by
witnesses of other teams. Storing them is the store's; here is what is stored, and how anybody can check it: `verify` is one file
that needs nothing of ours. What the log proves and what it does not: docs/break-glass.md.
"""
