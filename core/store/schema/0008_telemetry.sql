-- Metrics with their hourly rollup, events, cost.
SET LOCAL search_path = public, pg_temp;

-- Samples, partitioned by day (0021). At least once: no uniqueness.
CREATE TABLE metrics (
	"time" timestamptz NOT NULL,
	metric_name varchar(255) NOT NULL,
	metric_type varchar(50) NOT NULL,
	service_id varchar(30),
	plugin_id varchar(30),
	user_id varchar(30),
	team_id varchar(30),
	environment varchar(50),
	value float8 NOT NULL,
	unit varchar(50),
	labels jsonb NOT NULL DEFAULT '{}',
	CHECK (metric_type IN ('counter', 'gauge', 'histogram'))
) PARTITION BY RANGE ("time");
CREATE INDEX idx_metrics_name ON metrics (metric_name, "time" DESC);
CREATE INDEX idx_metrics_plugin ON metrics (plugin_id, "time" DESC);
CREATE INDEX idx_metrics_service ON metrics (service_id, "time" DESC);
CREATE INDEX idx_metrics_time_brin ON metrics USING brin ("time");
CREATE TABLE metrics_default PARTITION OF metrics DEFAULT WITH (autovacuum_vacuum_scale_factor = 0.01);

-- One row per hour and series; sum and count, so that averages of averages stay exact.
CREATE TABLE metrics_rollup (
	hour timestamptz NOT NULL,
	metric_name varchar(255) NOT NULL,
	service_id varchar(30),
	plugin_id varchar(30),
	environment varchar(50),
	value_sum float8 NOT NULL,
	value_count bigint NOT NULL,
	value_min float8 NOT NULL,
	value_max float8 NOT NULL,
	UNIQUE NULLS NOT DISTINCT (hour, metric_name, service_id, plugin_id, environment)
);

-- Hours before the watermark are read from the rollup, later ones from the samples. Samples before the floor are gone.
CREATE TABLE metrics_rollup_state (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	watermark timestamptz NOT NULL DEFAULT '-infinity',
	floor timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO metrics_rollup_state DEFAULT VALUES;

-- Hours before the watermark that got samples since.
CREATE TABLE metrics_dirty_hours (
	hour timestamptz PRIMARY KEY
);

-- The shared lock makes the rollup wait for inserts that have read the old watermark, so no late row is missed.
CREATE FUNCTION note_dirty_hours() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM pg_advisory_xact_lock_shared(7305002);
	INSERT INTO metrics_dirty_hours(hour)
		SELECT DISTINCT date_trunc('hour', f."time", 'UTC')
		FROM fresh f CROSS JOIN metrics_rollup_state s
		WHERE f."time" < s.watermark AND f."time" >= s.floor
		ORDER BY 1
		ON CONFLICT DO NOTHING;
	RETURN NULL;
END
$$;
CREATE TRIGGER metrics_dirty AFTER INSERT ON metrics
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION note_dirty_hours();

-- Domain events, partitioned by month (0021).
CREATE TABLE events (
	id varchar(30) NOT NULL DEFAULT generate_cuid(),
	event_type varchar(255) NOT NULL,
	event_category varchar(100),
	user_id varchar(30) REFERENCES users,
	team_id varchar(30) REFERENCES teams,
	service_id varchar(30) REFERENCES services,
	plugin_id varchar(30) REFERENCES plugins,
	data jsonb NOT NULL DEFAULT '{}',
	metadata jsonb NOT NULL DEFAULT '{}',
	source varchar(100),
	ip_address inet,
	user_agent text,
	occurred_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	processed_at timestamptz,
	PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX idx_events_category ON events (event_category);
CREATE INDEX idx_events_data ON events USING gin (data);
CREATE INDEX idx_events_occurred ON events (occurred_at DESC);
CREATE INDEX idx_events_occurred_brin ON events USING brin (occurred_at);
CREATE INDEX idx_events_type ON events (event_type);
CREATE INDEX idx_events_user ON events (user_id);
CREATE TABLE events_default PARTITION OF events DEFAULT WITH (autovacuum_vacuum_scale_factor = 0.01);

-- Cost lines for [period_start, period_end], both days included.
CREATE TABLE cost_tracking (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	period_start date NOT NULL,
	period_end date NOT NULL,
	resource_type varchar(100) NOT NULL,
	resource_id varchar(255),
	service_id varchar(30) REFERENCES services,
	team_id varchar(30) REFERENCES teams,
	cost numeric(14,4) NOT NULL,
	currency varchar(3) NOT NULL DEFAULT 'USD',
	usage_amount numeric(15,4),
	usage_unit varchar(50),
	cost_center varchar(100),
	project varchar(100),
	tags jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	CHECK (currency ~ '^[A-Z]{3}$'),
	CHECK (usage_amount >= 0),
	CHECK (period_end >= period_start)
);
CREATE INDEX idx_cost_tracking_period ON cost_tracking (period_start, period_end);
CREATE INDEX idx_cost_tracking_resource ON cost_tracking (resource_type);
CREATE INDEX idx_cost_tracking_service ON cost_tracking (service_id);
CREATE INDEX idx_cost_tracking_team ON cost_tracking (team_id);
