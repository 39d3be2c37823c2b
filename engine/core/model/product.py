"""Who this is: our own version, and the version of Docker whose behaviour we answer with."""

WHARF_VERSION = "0.1.0"
DOCKER_VERSION = "28.5.2"
