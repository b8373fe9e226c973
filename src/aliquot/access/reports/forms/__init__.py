"""A report as a table, as a page, and on a terminal."""
