"""Admission webhooks: others, asked over HTTPS, that may change or refuse what is asked of the server.

`configurations` reads who is to be asked, `reviews` is the protocol (pure), `calling` one call, `mutating` and
`validating` the order of the calls. `network` opens the connections and can be exchanged: a simulation brings its own.
"""
