"""Decisions about access, over plain data: who may ask, who has agreed, what follows, when it ends.

Nothing here knows of SQL, the network, the clock or chance.
"""
