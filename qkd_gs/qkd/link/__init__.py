"""The authenticated classical channel to the satellite."""
