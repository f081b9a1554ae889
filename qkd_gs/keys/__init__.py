"""The key folder: key pairs, the pre-shared key, the store of finished keys; their delivery and relay."""
