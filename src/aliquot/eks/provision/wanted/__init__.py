"""From what a file wants, and what account and region have, to resources in the order in which they can be made. Pure."""
