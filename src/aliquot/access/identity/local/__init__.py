"""People who prove themselves to this server: users of laptops, who have no other issuer, and those whose issuer's word is not enough."""
