"""The REST API: who calls has to prove it before anything is read of what they send, and whoever may not see a request is told that
there is none. What is done is the broker's.
"""
