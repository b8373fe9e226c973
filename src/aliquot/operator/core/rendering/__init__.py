"""Operands as manifests: what a policy comes to in DaemonSets and what they need. Equal policies give equal manifests."""
