"""Where reports are drawn from: the server's database, or a dump of the log, by whoever wants to see for themselves."""
