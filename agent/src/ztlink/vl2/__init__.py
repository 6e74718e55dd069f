"""The virtual Ethernet layer: networks, membership, rules, multicast."""
