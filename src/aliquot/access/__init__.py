"""Break glass: into production for a while, asked for, approved, recorded, and out again even if all of this is down."""
