"""The same commands against two engines, answers compared."""
