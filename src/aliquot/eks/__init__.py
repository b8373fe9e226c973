"""EKS: provision, check, upgrade in place, and come back if it goes wrong ([more](../../../docs/eks.md)).

What AWS and the cluster say is read into plain data (`estate`), judged (`preflight`), planned (`plan`) and only then done
(`upgrade`, `provision`), each call journaled. Nothing here is ever forced.
"""
