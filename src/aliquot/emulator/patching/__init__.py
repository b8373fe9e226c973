"""How a request changes an object: the four patch formats and who owns which field.

Pure functions over JSON values. Nothing here reads a store, a clock or the network, and no argument is changed.
"""
