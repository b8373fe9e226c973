"""Templates: what may be asked for. Their types, their files, who is who in them, and what is wrong with them."""
