"""The checks, one module for each subject. Each is a pure function; `table` has them all."""
