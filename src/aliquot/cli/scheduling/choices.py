"""What options of the scheduler can be. As its enums have it, and its simulation; written here, so that help need not import them."""

PLACEMENTS = ("worth", "pack", "spread")
NO_BACKFILL = "none"
BACKFILLS = (NO_BACKFILL, "strict", "easy", "conservative")
EVENTS = ("each", "summed")
TRACE_ESTIMATES = "trace"
ESTIMATES = (TRACE_ESTIMATES, "exact", "poor", "round", "none")
PACKING_POLICIES = ("aliquot", "fgd", "bestfit", "packing", "clustering", "dotprod", "random")
