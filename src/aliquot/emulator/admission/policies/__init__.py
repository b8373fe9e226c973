"""Admission policies: rules in CEL that the server asks itself, validating and mutating.

`definitions` reads policies and their bindings, `parameters` finds what a binding parameterizes a policy with,
`programs` compiles a policy when it first concerns an operation, `evaluation` evaluates it within its budget,
`validating` and `mutating` are the links of the chain, `mutations` what an expression may do to an object. Where there
are no policies, none of CEL is imported.
"""
