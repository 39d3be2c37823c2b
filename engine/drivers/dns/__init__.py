"""The DNS server inside containers of user-defined networks."""
