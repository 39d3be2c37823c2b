"""Stats, limits and freezer on cgroup v1, hybrid and v2."""
