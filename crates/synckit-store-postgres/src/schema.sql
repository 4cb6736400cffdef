CREATE TABLE tenants (
    tenant integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    log bytea NOT NULL,
    node bytea NOT NULL,
    former bytea NOT NULL,
    label text NOT NULL,
    mode text NOT NULL,
    counter bigint NOT NULL,
    clock bigint NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL,
    home text,
    standing text NOT NULL
) WITH (fillfactor = 20);
CREATE TABLE entries (
    tenant integer NOT NULL,
    stub boolean NOT NULL,
    superseded boolean NOT NULL,
    position bigint NOT NULL,
    counter bigint NOT NULL,
    timestamp bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    codec text COLLATE "C",
    data bytea NOT NULL,
    metadata text COLLATE "C",
    origin bytea NOT NULL,
    parents bytea NOT NULL,
    content bytea NOT NULL,
    hash bytea NOT NULL,
    received_from bytea,
    PRIMARY KEY (tenant, position)
);
CREATE UNIQUE INDEX entries_by_id ON entries (tenant, id) WHERE NOT superseded;
CREATE INDEX entries_by_aggregate ON entries (tenant, aggregate_id, position);
CREATE INDEX entries_by_stamp ON entries (tenant, origin, counter);
CREATE INDEX entries_of_stubs ON entries (tenant, origin, counter, id) WHERE stub AND NOT superseded;
CREATE TABLE known_stamps (
    tenant integer NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    share bytea NOT NULL,
    PRIMARY KEY (tenant, origin, counter, id, share)
);
CREATE TABLE origins (
    tenant integer NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    held bigint NOT NULL,
    ids bytea NOT NULL,
    PRIMARY KEY (tenant, origin)
) WITH (fillfactor = 50);
CREATE TABLE aggregates (
    tenant integer NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    heads bytea NOT NULL,
    conflict text COLLATE "C",
    PRIMARY KEY (tenant, aggregate_id)
) WITH (fillfactor = 70);
CREATE INDEX aggregates_in_conflict ON aggregates (tenant, aggregate_id) WHERE conflict IS NOT NULL;
CREATE TABLE decisions (
    tenant integer NOT NULL,
    vertex text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    conflict text COLLATE "C",
    timestamp bigint NOT NULL,
    PRIMARY KEY (tenant, vertex)
);
CREATE INDEX decisions_by_conflict ON decisions (tenant, conflict);
CREATE INDEX decisions_by_aggregate ON decisions (tenant, aggregate_id);
CREATE TABLE reviews (
    tenant integer NOT NULL,
    event text COLLATE "C" NOT NULL,
    conflict text COLLATE "C" NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    heads bytea NOT NULL,
    reason bytea NOT NULL,
    PRIMARY KEY (tenant, event)
);
CREATE INDEX reviews_by_conflict ON reviews (tenant, conflict);
CREATE INDEX reviews_by_aggregate ON reviews (tenant, aggregate_id);
CREATE TABLE withdrawn (
    tenant integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    claim bytea NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    timestamp bigint NOT NULL,
    parents bytea NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant, id, claim)
);
CREATE INDEX withdrawn_by_aggregate ON withdrawn (tenant, aggregate_id);
CREATE TABLE other_claims (
    tenant integer NOT NULL,
    id text COLLATE "C" NOT NULL,
    claim bytea NOT NULL,
    aggregate_id text COLLATE "C" NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    timestamp bigint NOT NULL,
    parents bytea NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant, id, claim)
);
CREATE TABLE checkpoints (
    tenant integer NOT NULL,
    log bytea NOT NULL,
    address bytea NOT NULL,
    pull_position bigint NOT NULL,
    pull_hash bytea NOT NULL,
    push bigint NOT NULL,
    seen_position bigint NOT NULL,
    seen_hash bytea NOT NULL,
    shown_position bigint NOT NULL,
    shown_hash bytea NOT NULL,
    echo_floor bigint NOT NULL,
    filter bytea NOT NULL,
    synced_at bigint NOT NULL,
    PRIMARY KEY (tenant, log)
);
CREATE TABLE quarantine (
    tenant integer NOT NULL,
    side text COLLATE "C" NOT NULL,
    peer bytea NOT NULL,
    id text COLLATE "C" NOT NULL,
    origin bytea NOT NULL,
    counter bigint NOT NULL,
    code text COLLATE "C" NOT NULL,
    detail bytea NOT NULL,
    position bigint NOT NULL,
    held bytea,
    PRIMARY KEY (tenant, side, peer, id, origin, counter)
);
