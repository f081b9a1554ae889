"""Delivery of keys to applications: the key management entity of a station (ETSI GS QKD 014 V1.1.1)."""
