"""The 850 nm downlink as a function of stated site conditions: extinction, loss, background light."""
