"""Which plugins there are: found by name, or installed and run as containers of their own."""
