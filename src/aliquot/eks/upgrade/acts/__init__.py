"""What a step can do, one module a kind of act: what it is (data), how things are looked at (shell), and the rule over what was seen (pure).

A module's `DOING` is all that the runner knows of it; `table` has them by the type of the act.
"""
