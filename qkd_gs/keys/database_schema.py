"""Tables of the key store, and its version."""

from qkd_gs.keys.sealed_items import ITEM_TABLES

SCHEMA_VERSION = 3
SCHEMA = (
    'CREATE TABLE store (schema INTEGER NOT NULL, simulated INTEGER NOT NULL, side TEXT NOT NULL,'
    ' count INTEGER NOT NULL, group_keys BLOB NOT NULL)',
    'CREATE TABLE keys (key_id TEXT PRIMARY KEY, session_id TEXT NOT NULL UNIQUE, created_utc TEXT NOT NULL,'
    ' length_bits INTEGER NOT NULL CHECK (length_bits >= 0), epsilon REAL NOT NULL, result TEXT NOT NULL,'
    " state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'given', 'erased')),"
    ' sent_bits INTEGER NOT NULL DEFAULT 0, received_bits INTEGER NOT NULL DEFAULT 0, item_group INTEGER)',
    'CREATE TABLE refills (key_id TEXT PRIMARY KEY, item_group INTEGER NOT NULL)',
    'CREATE TABLE held (key_id TEXT PRIMARY KEY, source TEXT NOT NULL, item_group INTEGER NOT NULL,'
    ' item INTEGER NOT NULL)',
    'CREATE INDEX held_by_source ON held (source)',
    'CREATE INDEX held_by_place ON held (item_group, item)',
    *ITEM_TABLES,
    'CREATE TABLE IF NOT EXISTS attempts (session_id TEXT PRIMARY KEY, disclosed_bits INTEGER NOT NULL)',
    'CREATE TABLE IF NOT EXISTS announcements (session_id TEXT PRIMARY KEY, digest TEXT NOT NULL)',
    'CREATE TABLE IF NOT EXISTS bookings (session_id TEXT NOT NULL, source TEXT NOT NULL, start_ns INTEGER NOT NULL,'
    ' end_ns INTEGER NOT NULL)',
    'CREATE INDEX IF NOT EXISTS bookings_by_time ON bookings (source, start_ns)',
)
ADDED = (  # to version 3; older software charges more without them, never less
    'CREATE TABLE IF NOT EXISTS disclosures (session_id TEXT NOT NULL, name TEXT NOT NULL, bits INTEGER NOT NULL,'
    ' PRIMARY KEY (session_id, name))',
    'CREATE TABLE IF NOT EXISTS seeds (session_id TEXT PRIMARY KEY, seed INTEGER NOT NULL)',
)
OLDER = {1: ('keys', 'store'), 2: ('keys', 'store', 'refills', 'held')}  # tables of older versions that are others now
