-- The master key that sealed this database's keys, as a keyed hash of a fixed text: enough to
-- recognize it, and nothing to find it by.
CREATE TABLE master (proof BLOB NOT NULL) STRICT;

CREATE TABLE users (
    email TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('read-only', 'member', 'admin'))
) STRICT;

-- Times are milliseconds since 1970, in UTC.
CREATE TABLE api_keys (
    -- Never used twice, so that the order of ids is the order of creation.
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES users (email) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- A keyed hash of the value, by which a request's key is found.
    fingerprint BLOB NOT NULL UNIQUE,
    -- The value, encrypted.
    sealed BLOB NOT NULL,
    -- The first characters of the value, which are no secret.
    identifier TEXT NOT NULL,
    role TEXT CHECK (role IN ('read-only', 'member', 'admin')),
    created_at INTEGER NOT NULL,
    created_by_key TEXT,
    expires_at INTEGER,
    last_access INTEGER,
    suspended INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    UNIQUE (owner, name)
) STRICT;
