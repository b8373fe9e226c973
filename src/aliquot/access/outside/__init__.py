"""Other people's servers: calls that end, answers that have a size, secrets that lie in files. What tickets and notify share."""
