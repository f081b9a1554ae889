"""Mount behind Hamlib's rotctld."""
