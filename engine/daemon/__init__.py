"""The composition root: builds every part and hands each what it needs; start-up, reload, shutdown."""
