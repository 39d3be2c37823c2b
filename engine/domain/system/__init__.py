"""Info, version, disk usage, and prune over everything."""
