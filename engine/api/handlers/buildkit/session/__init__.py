"""The services of a build's client, which the daemon calls: directories, secrets, agents, credentials, results."""
