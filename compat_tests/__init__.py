"""Black-box tests of a Docker Engine over its socket, with real clients; imports nothing of `engine`."""
