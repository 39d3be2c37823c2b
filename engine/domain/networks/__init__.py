"""Networks, endpoints, addresses, ports, names."""
