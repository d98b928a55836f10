-- Every primary key, unique key and foreign key of measured data begins with
-- tenant_id, so that the schema can be distributed by tenant.

-- Tenants. The id follows from the name, so the key makes names unique.
CREATE TABLE tenant (
    tenant_id   uuid PRIMARY KEY,
    name        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Whether executions keep metric types that are not among the permitted ones.
    allow_all_metric_types boolean NOT NULL DEFAULT false
);

-- Tokens. The secret itself is kept nowhere.
CREATE TABLE api_token (
    tenant_id   uuid NOT NULL REFERENCES tenant,
    token_id    uuid NOT NULL,
    token_hash  bytea NOT NULL,
    scopes      text[] NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    PRIMARY KEY (tenant_id, token_id)
);

-- The ledger of requests: who is in it has been applied, or is dead.
CREATE TABLE ingest_request (
    tenant_id   uuid NOT NULL,
    request_id  uuid NOT NULL,
    accepted    integer NOT NULL,
    duplicates  integer NOT NULL,
    conflicts   integer NOT NULL,
    settled_at  timestamptz NOT NULL,
    dead_reason text,
    PRIMARY KEY (tenant_id, request_id)
) PARTITION BY RANGE (request_id);

-- Usage events, in segments: the events of one tenant and one span of time, column by column. A column of a
-- segment is encoded by itself, and NULL where none of the events has the field. The columns are not compressed
-- again, so a query reads those that it needs and passes over the others.
CREATE TABLE event_segment (
    tenant_id     uuid NOT NULL,
    -- The ids of the first and the last event.
    first_id      uuid NOT NULL,
    last_id       uuid NOT NULL,
    -- Tells apart segments that begin with the same id.
    segment_id    bigint NOT NULL,
    events        integer NOT NULL,
    -- The size of all its texts when they are decoded.
    text_bytes    integer NOT NULL,
    -- 0: as a worker appended it. 1: its hour has been settled. 2: its week has been settled.
    level         smallint NOT NULL,
    -- The tenant's generation of metrics by which the events were rolled up; 0 if the tenant had no metrics of
    -- its own. The events are missing from the roll-ups of later generations until these are backfilled.
    generation    integer NOT NULL,
    times         bytea NOT NULL,
    ids           bytea NOT NULL,
    provider      bytea,
    action        bytea,
    application   bytea,
    detail        bytea,
    environment   bytea,
    invocation_id bytea,
    method        bytea,
    service       bytea,
    type          bytea,
    "user"        bytea,
    httpstatus    bytea,
    duration      bytea,
    response_size bytea,
    value         bytea,
    attributes    bytea,
    PRIMARY KEY (tenant_id, first_id, segment_id)
) PARTITION BY RANGE (first_id);
ALTER TABLE event_segment
    ALTER times SET STORAGE EXTERNAL,
    ALTER ids SET STORAGE EXTERNAL,
    ALTER provider SET STORAGE EXTERNAL,
    ALTER action SET STORAGE EXTERNAL,
    ALTER application SET STORAGE EXTERNAL,
    ALTER detail SET STORAGE EXTERNAL,
    ALTER environment SET STORAGE EXTERNAL,
    ALTER invocation_id SET STORAGE EXTERNAL,
    ALTER method SET STORAGE EXTERNAL,
    ALTER service SET STORAGE EXTERNAL,
    ALTER type SET STORAGE EXTERNAL,
    ALTER "user" SET STORAGE EXTERNAL,
    ALTER httpstatus SET STORAGE EXTERNAL,
    ALTER duration SET STORAGE EXTERNAL,
    ALTER response_size SET STORAGE EXTERNAL,
    ALTER value SET STORAGE EXTERNAL,
    ALTER attributes SET STORAGE EXTERNAL;
-- Pages that begin with the last event read segments by where they end.
CREATE INDEX event_segment_by_end ON event_segment (tenant_id, last_id, segment_id);
-- What is still to be settled.
CREATE INDEX event_segment_unsettled ON event_segment (level, tenant_id, first_id)
    WHERE level < 2;

-- The ids of events that their senders named, so that none is stored twice. An id is removed when the week of
-- the event has been settled; then the segments of the week are searched instead.
CREATE TABLE event_key (
    tenant_id uuid NOT NULL,
    id        uuid NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);

-- The timestamp that an event's id carries.
CREATE FUNCTION event_timestamp(id uuid) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN to_timestamp(0)
        + ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint * interval '1 millisecond'
        + ceil(('x' || substr(id::text, 16, 3))::bit(12)::integer * 1000 / 4096.0) * interval '1 microsecond';

-- What a roll-up id, which is a hash, stands for: the series that a metric keeps by one label set. No text of a sender is
-- in a key, so nothing is too long to be kept.
CREATE TABLE rollup (
    tenant_id   uuid NOT NULL,
    rollup_id   uuid NOT NULL,
    metric      text NOT NULL,
    label_names text[] NOT NULL,
    PRIMARY KEY (tenant_id, rollup_id)
);

-- What a series id, which is a hash, stands for.
CREATE TABLE series (
    tenant_id    uuid NOT NULL,
    rollup_id    uuid NOT NULL,
    series_id    uuid NOT NULL,
    -- In the order of the names of the roll-up.
    label_values text[] NOT NULL,
    PRIMARY KEY (tenant_id, rollup_id, series_id)
);

-- Roll-ups: a row is a series on a day (UTC). The bytes are written and read by the services.
CREATE TABLE rollup_day (
    tenant_id uuid NOT NULL,
    series_id uuid NOT NULL,
    day       timestamptz NOT NULL,
    -- The aggregate of the whole day.
    total     bytea NOT NULL,
    -- The aggregates of its buckets: minutes if the series is that of all events of a metric, else quarter-hours.
    buckets   bytea NOT NULL,
    PRIMARY KEY (tenant_id, series_id, day)
) WITH (
    -- The buckets are dense already, and stay in the row.
    toast_tuple_target = 8160, fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.05
);
ALTER TABLE rollup_day ALTER total SET STORAGE EXTERNAL, ALTER buckets SET STORAGE EXTERNAL;

-- What batches have added since roll-ups were last folded: a row is what one of them added to the series of a metric and
-- label set on a day. Rows are only appended and removed, so workers never wait for each other. A reader adds these to
-- the days.
CREATE TABLE rollup_partial (
    tenant_id  uuid NOT NULL,
    rollup_id  uuid NOT NULL,
    day        timestamptz NOT NULL,
    -- Random.
    partial_id bigint NOT NULL,
    series     bytea NOT NULL,
    PRIMARY KEY (tenant_id, rollup_id, day, partial_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 20000,
    toast.autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE rollup_partial ALTER series SET STORAGE EXTERNAL;

-- What tenants define. The generation counts the changes of metrics that matter to roll-ups. A
-- worker reads it in the transaction that applies events, under a shared lock that a change
-- takes alone: so every event is rolled up by the definitions that were there when it came.
CREATE TABLE tenant_catalog (
    tenant_id  uuid PRIMARY KEY,
    generation integer NOT NULL
);

-- Every version of every metric. The current one is the last, unless the metric is deleted.
CREATE TABLE metric_definition (
    tenant_id        uuid NOT NULL,
    provider         text NOT NULL,
    name             text NOT NULL,
    version          integer NOT NULL,
    generation       integer NOT NULL,
    description      text NOT NULL,
    method_class     text,
    action           text,
    filter           text NOT NULL,
    measure          text NOT NULL,
    unit             text NOT NULL,
    default_observed text NOT NULL,
    label_sets       jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    is_current       boolean NOT NULL,
    PRIMARY KEY (tenant_id, provider, name, version)
);
CREATE UNIQUE INDEX metric_definition_current ON metric_definition (tenant_id, provider, name) WHERE is_current;

-- The roll-ups of each generation of a metric: how far the events stored before it are in them.
CREATE TABLE metric_rollup (
    tenant_id    uuid NOT NULL,
    generation   integer NOT NULL,
    -- The name under which the series are kept.
    series_key   text NOT NULL,
    -- The last event that was looked at.
    backfilled   uuid,
    event_count  bigint NOT NULL DEFAULT 0,
    started_at   timestamptz,
    stepped_at   timestamptz,
    finished_at  timestamptz,
    -- When the definition was changed or deleted. The roll-ups are removed a while after, when no
    -- question that was asked before can still look at them.
    abandoned_at timestamptz,
    PRIMARY KEY (tenant_id, generation)
);

CREATE TABLE calendar_definition (
    tenant_id   uuid NOT NULL,
    code        text NOT NULL,
    version     integer NOT NULL,
    description text NOT NULL,
    time_zone   text NOT NULL,
    -- Either these two, ...
    "interval"  text,
    "offset"    text,
    -- ... or these: days by number from Monday = 1, and dates and rules.
    weekend     smallint[],
    holidays    text[],
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, code)
);

-- Questions that hang on objects.
CREATE TABLE time_series (
    tenant_id    uuid NOT NULL,
    object       text NOT NULL,
    name         text NOT NULL,
    version      integer NOT NULL,
    provider     text NOT NULL,
    metric       text NOT NULL,
    display_name text NOT NULL,
    description  text NOT NULL,
    calendar     text NOT NULL,
    observed     text,
    filter       text NOT NULL,
    time_zone    text NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, object, name)
);

-- How far each worker has come in the queue of its shard: what it was given and what it
-- will be given is applied, as far as it was enqueued before applied_through.
CREATE TABLE worker_progress (
    worker_id       uuid PRIMARY KEY,
    shard           smallint NOT NULL,
    applied_through timestamptz NOT NULL,
    -- When it was last heard of.
    updated_at      timestamptz NOT NULL,
    -- When it had given back what it held. NULL: it lives, or has died.
    left_at         timestamptz
);

-- Flows. A deleted one stays as the name of its history.
CREATE TABLE flow (
    tenant_id        uuid NOT NULL,
    flow_id          text COLLATE "C" NOT NULL,
    version          integer NOT NULL,
    name             text NOT NULL,
    -- Empty where there is none, as data_api_version.
    endpoint_url     text NOT NULL,
    data_api_version text NOT NULL,
    time_zone        text NOT NULL,
    -- NULL: the worker's setting.
    check_interval   interval,
    -- When it was first registered.
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    deleted_at       timestamptz,
    -- When it was registered last.
    registered_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, flow_id)
);
-- Those whose endpoints may be checked.
CREATE INDEX flow_checked ON flow (tenant_id, flow_id)
    WHERE deleted_at IS NULL AND endpoint_url <> '' AND data_api_version <> '';

-- Counts the statements that changed a tenant's flows, in their transactions. So the sum over all
-- tenants differs whenever the flows do, whatever the order of commits, and no tenant waits for
-- another.
CREATE TABLE flow_change (
    tenant_id uuid PRIMARY KEY,
    changes   bigint NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION count_flow_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO flow_change SELECT DISTINCT tenant_id, 1 FROM changed
    ON CONFLICT (tenant_id) DO UPDATE SET changes = flow_change.changes + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER flow_inserted AFTER INSERT ON flow
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_flow_change();
CREATE TRIGGER flow_updated AFTER UPDATE ON flow
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_flow_change();
CREATE TRIGGER flow_removed AFTER DELETE ON flow
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_flow_change();

-- The counters of flows by days (UTC). They are one row where roll-ups by label would be eighteen for each
-- quarter of an hour: their labels are few and always the same. An answer has hundreds of points, and the fewer rows and
-- pages they are in, the sooner it is read.
CREATE TABLE flow_day (
    tenant_id uuid NOT NULL,
    flow_id   text COLLATE "C" NOT NULL,
    day       timestamptz NOT NULL,
    -- Of the whole day: see flow_counters().
    counters  bytea NOT NULL,
    -- By quarters of an hour: see flow_quarters().
    quarters  bytea NOT NULL,
    -- With the counters, so that questions about whole days need no more than the index.
    PRIMARY KEY (tenant_id, flow_id, day) INCLUDE (counters)
) WITH (
    -- The quarters, about 1 kB and 5 kB where all counters are large, stay in the row, and are not packed.
    toast_tuple_target = 8160
);

-- The counters of a row, for people: requests that succeeded and those that failed by timeout_error,
-- unexpected_http_status_code, cannot_be_served and no_http_response_error; requests by their latency of up to
-- 1, 2, … 10 seconds and more; availability checks that succeeded and that failed.
CREATE FUNCTION flow_counters(counters bytea) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    found bigint[] := array_fill(0::bigint, ARRAY[18]);
    place integer := 1;
    shift integer := 0;
    digit integer;
BEGIN
    FOR at IN 0 .. length(counters) - 1 LOOP
        digit := get_byte(counters, at);
        found[place] := found[place] | ((digit & 127)::bigint << shift);
        IF digit < 128 THEN
            place := place + 1;
            shift := 0;
        ELSE
            shift := shift + 7;
        END IF;
    END LOOP;
    RETURN found;
END
$$;

-- The quarters of an hour of a day that have anything, for people: how many lie before each, and its counters.
CREATE FUNCTION flow_quarters(quarters bytea) RETURNS TABLE (quarter integer, counters bigint[])
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    -- By quarters, and in each by counters.
    found bigint[] := array_fill(0::bigint, ARRAY[96 * 18]);
    at integer := 0;
    place integer;
    value bigint;
    shift integer;
    digit integer;
BEGIN
    WHILE at < length(quarters) LOOP
        place := get_byte(quarters, at) + 1;
        at := at + 1;
        quarter := 0;
        WHILE quarter < 96 LOOP
            value := 0;
            shift := 0;
            LOOP
                digit := get_byte(quarters, at);
                at := at + 1;
                value := value | ((digit & 127)::bigint << shift);
                EXIT WHEN digit < 128;
                shift := shift + 7;
            END LOOP;
            IF value > 0 THEN
                found[quarter * 18 + place] := value;
                quarter := quarter + 1;
            ELSE
                -- So many zeros.
                quarter := quarter + get_byte(quarters, at);
                at := at + 1;
            END IF;
        END LOOP;
    END LOOP;
    FOR each IN 0 .. 95 LOOP
        quarter := each;
        counters := found[each * 18 + 1 : each * 18 + 18];
        IF 0 < ANY (counters) THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- What batches have added since counters were last folded, by quarter of an hour: as
-- rollup_partial.
CREATE TABLE flow_partial (
    tenant_id uuid NOT NULL,
    flow_id   text COLLATE "C" NOT NULL,
    bucket    timestamptz NOT NULL,
    counters  bytea NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX flow_partial_by_flow ON flow_partial (tenant_id, flow_id, bucket);

-- Work that one worker at a time does, and until when it is its own.
CREATE TABLE lease (
    name       text PRIMARY KEY,
    holder     uuid NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Scheduled commands of executions: each state that was reported. What counts at a deadline is decided by the states
-- that were reported up to it, whenever somebody looks.
CREATE TABLE execution_schedule (
    tenant_id       uuid NOT NULL,
    schedule_id     text COLLATE "C" NOT NULL,
    -- Orders the states of one schedule, and carries the time of its report: see event_timestamp().
    update_id       uuid NOT NULL,
    integration     text NOT NULL,
    instance        text NOT NULL,
    command         text NOT NULL,
    items_remaining bigint NOT NULL,
    deadline        timestamptz NOT NULL,
    -- Whether nothing is left to be done at the deadline: what remained has been reported, or the state was replaced in
    -- time.
    is_settled      boolean NOT NULL DEFAULT false,
    written_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, schedule_id, update_id)
);
CREATE INDEX execution_schedule_open ON execution_schedule (deadline)
    WHERE items_remaining > 0 AND NOT is_settled;

-- The assets that metrics were emitted on.
CREATE TABLE asset (
    tenant_id  uuid NOT NULL,
    urn        text COLLATE "C" NOT NULL,
    -- Follows from tenant and URN: it stands for the URN in keys, which may be long.
    asset_id   uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, urn)
);

-- The metrics of assets that can be read as time series, and of which types values were.
CREATE TABLE asset_metric (
    tenant_id  uuid NOT NULL,
    name       text COLLATE "C" NOT NULL,
    -- NUMBER or BOOLEAN.
    value_type text NOT NULL,
    PRIMARY KEY (tenant_id, name, value_type)
);

-- The values of assets: one for each asset, name and time.
CREATE TABLE asset_value (
    tenant_id        uuid NOT NULL,
    asset_id         uuid NOT NULL,
    name             text COLLATE "C" NOT NULL,
    "timestamp"      timestamptz NOT NULL,
    -- The newest request that gave the value: requests are ordered by their ids.
    request_id       uuid NOT NULL,
    -- The oldest one that gave any, and the place among its values of this time, by which names are
    -- listed. NULL where it is the newest.
    first_request_id uuid,
    first_place      smallint NOT NULL,
    -- The value is one of these.
    "boolean"        boolean,
    "number"         numeric,
    "text"           text,
    PRIMARY KEY (tenant_id, asset_id, name, "timestamp")
);
