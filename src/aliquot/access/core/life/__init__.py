"""The life of a request, from when it was asked for until all that came of it is gone again.

`step` is a pure function of a life, an event and what is so around it. It says what the life is then, what has to be written to
the log first (facts) and what has to be done after (effects). All three are written in one transaction; who does the effects may
die at any time, do them late, twice or in another order, and tells by events what came of it.
"""
