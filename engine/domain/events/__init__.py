"""The event bus with replay."""
