"""A second core beside the node: TCP/IP in user space, without I/O; knows nothing of ZeroTier."""
