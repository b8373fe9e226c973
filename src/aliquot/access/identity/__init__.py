"""Who somebody is: what their issuer says of them in a token, what a cluster says of one of its own, what a laptop's user proves to us.

Whatever cannot be checked is not proven, and whoever is not known gets nothing. Nothing here decides what anybody may do.
"""
