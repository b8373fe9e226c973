"""ResourceQuotas: what an object counts for, which quotas cover it, and what is used by all of a namespace.

`usage` is the rules, pure, for the API server and the controller alike. `Ledger` knows at each moment what is used in
the server's store: admission judges by it. The controller (controllers.resource_quotas) tells people, in status.
"""

from aliquot.emulator.quota.ledger import Ledger

__all__ = ["Ledger"]
