"""The daemon's settings: flags and daemon.json, merged and checked, as one frozen value."""
