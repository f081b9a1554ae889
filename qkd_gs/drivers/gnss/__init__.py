"""GPS receivers: by way of the daemon gpsd, and u-blox receivers on a serial port of their own."""
