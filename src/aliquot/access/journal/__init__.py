"""What was ended while the database was gone, in a file of this server's own, until the database has it.

Not the log: that is one for all servers, and in the database. This is what it is told from, once it can be written again.
"""
