"""A ZeroTier node in Python: core, drivers, controller and the faces for their users."""
