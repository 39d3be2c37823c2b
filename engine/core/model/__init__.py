"""The records: immutable snapshots of what the daemon knows."""
