"""The batch kernels of the data lane; one face, several engines."""
