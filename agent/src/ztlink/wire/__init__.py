"""Bytes to values and back: no state, no time, no chance."""
