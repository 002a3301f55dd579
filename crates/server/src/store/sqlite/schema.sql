-- One row.
CREATE TABLE directory (
    -- Identifies the master key without revealing it.
    key_check BLOB NOT NULL,
    -- Incremented by health checks, to check that the database accepts writes.
    probes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE users (
    email TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('read-only', 'member', 'admin'))
) STRICT;

-- Times are milliseconds since 1970, in UTC.
CREATE TABLE api_keys (
    -- Never reused, so keys are ordered by ID as they were created.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES users (email) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- A keyed hash of the value, which identifies the key of a request.
    lookup_hash BLOB NOT NULL UNIQUE,
    -- The value, encrypted.
    encrypted BLOB NOT NULL,
    -- The first characters of the value, which are not secret.
    identifier TEXT NOT NULL,
    role TEXT CHECK (role IN ('read-only', 'member', 'admin')),
    created_at INTEGER NOT NULL,
    created_by_key TEXT,
    expires_at INTEGER,
    last_access INTEGER,
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    UNIQUE (owner, name)
) STRICT;

-- Lists the keys of a user in the order of creation.
CREATE INDEX api_keys_by_owner ON api_keys (owner, id);

-- Finds the keys that expire.
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at) WHERE suspended = 0 AND expires_at NOTNULL;
