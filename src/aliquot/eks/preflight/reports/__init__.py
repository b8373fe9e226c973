"""A preflight as others read it: JSON for programs, SARIF for code hosts, JUnit for CI, HTML for people far away."""
