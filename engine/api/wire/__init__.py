"""Decoding and encoding between Docker's JSON and the model."""
