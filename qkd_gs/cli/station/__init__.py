"""Commands that start a station or look at its devices."""
