"""The sans-I/O node: VL1 and VL2 tied together."""
