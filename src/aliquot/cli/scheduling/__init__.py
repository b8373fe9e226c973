"""Commands of `aliquot scheduler` beside `run`."""
