"""The reports, one in each module."""
