"""The event stream, live and replayed."""
