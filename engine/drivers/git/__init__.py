"""Git repositories, through the `git` program."""
