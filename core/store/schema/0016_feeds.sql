-- Change feeds: what a cache must forget. NOTIFY is the doorbell, the rows are the truth.
--
-- position order is not commit order. A reader that needs order takes xact < pg_snapshot_xmin(pg_current_snapshot()); authority does
-- not wait for order, it applies every visible row that it has not applied. Rows are kept a day (job_expire); a reader that was away
-- longer rebuilds. The trigger functions are SECURITY DEFINER: who may change a row need not be able to write, or forge, the feed.
SET LOCAL search_path = public, pg_temp;

CREATE TABLE authority_feed (
	position bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
	kind varchar(30) NOT NULL CHECK (kind IN ('user', 'team', 'member', 'api_key', 'session', 'trust_key', 'trust_pin', 'installation', 'setting')),
	key varchar(255) NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX authority_feed_at ON authority_feed USING brin (at);

CREATE TABLE catalog_feed (
	position bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
	kind varchar(30) NOT NULL CHECK (kind IN ('service', 'relationships', 'team')),
	key varchar(30) NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX catalog_feed_at ON catalog_feed USING brin (at);

-- Each key once per statement. For updates of tables where telemetry writes too, only if what authority reads has changed.
CREATE FUNCTION feed_authority() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	keys text[];
BEGIN
	-- TG_ARGV: the kind, the column of the key, the columns that count ('' for all).
	IF TG_OP = 'INSERT' THEN
		EXECUTE format('SELECT array_agg(DISTINCT %I::text) FROM fresh', TG_ARGV[1]) INTO keys;
	ELSIF TG_OP = 'DELETE' THEN
		EXECUTE format('SELECT array_agg(DISTINCT %I::text) FROM gone', TG_ARGV[1]) INTO keys;
	ELSE
		EXECUTE format('SELECT array_agg(DISTINCT k) FROM (SELECT f.%2$I::text AS k FROM (SELECT %1$s FROM fresh EXCEPT SELECT %1$s FROM gone) f '
			'UNION SELECT g.%2$I::text FROM (SELECT %1$s FROM gone EXCEPT SELECT %1$s FROM fresh) g) d', TG_ARGV[2], TG_ARGV[1]) INTO keys;
	END IF;
	IF cardinality(keys) > 0 THEN
		INSERT INTO authority_feed(kind, key) SELECT TG_ARGV[0], k FROM unnest(keys) k;
		PERFORM pg_notify('mortise_authority', '');
	END IF;
	RETURN NULL;
END
$$;

DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM (VALUES
		('users', 'user', 'id', 'id, role, is_active, deleted_at, name, email, mfa_enabled, password'),
		('teams', 'team', 'id', 'id, is_active, deleted_at'),
		('team_members', 'member', 'user_id', 'user_id, team_id, role'),
		('api_keys', 'api_key', 'id', 'id, user_id, team_id, key_hash, scopes, rate_limit, allowed_ips, allowed_origins, expires_at, is_active, revoked_at'),
		('sessions', 'session', 'id', 'id, user_id, token, refresh_token, expires_at, refresh_expires_at, is_active, revoked_at, half'),
		('trust_keys', 'trust_key', 'key_id', 'key_id, namespaces, roles, development, expires_at, state'),
		('trust_pins', 'trust_pin', 'digest', 'digest, expires_at'),
		('plugin_installations', 'installation', 'id', 'id, granted_permissions, is_enabled, uninstalled_at'),
		('host_settings', 'setting', 'name', 'environment, name, value')) v(tab, kind, key, cols)
	LOOP
		EXECUTE format('CREATE TRIGGER authority_feed_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS fresh '
			'FOR EACH STATEMENT EXECUTE FUNCTION feed_authority(%L, %L, %L)', t.tab, t.kind, t.key, t.cols);
		EXECUTE format('CREATE TRIGGER authority_feed_update AFTER UPDATE ON %I REFERENCING OLD TABLE AS gone NEW TABLE AS fresh '
			'FOR EACH STATEMENT EXECUTE FUNCTION feed_authority(%L, %L, %L)', t.tab, t.kind, t.key, t.cols);
		EXECUTE format('CREATE TRIGGER authority_feed_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS gone '
			'FOR EACH STATEMENT EXECUTE FUNCTION feed_authority(%L, %L, %L)', t.tab, t.kind, t.key, t.cols);
	END LOOP;
END
$$;

CREATE FUNCTION feed_services() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO catalog_feed(kind, key) SELECT 'service', id FROM fresh;
	ELSIF TG_OP = 'DELETE' THEN
		INSERT INTO catalog_feed(kind, key) SELECT 'service', id FROM gone;
	ELSIF pg_trigger_depth() > 1 THEN
		RETURN NULL; -- depends_on alone, derived from relationships, which have fed their own row
	ELSE
		INSERT INTO catalog_feed(kind, key) SELECT 'service', f.id FROM fresh f JOIN gone g ON g.id = f.id
		WHERE (f.name, f.display_name, f.description, f.type, f.lifecycle, f.tier, f.owner_id, f.team_id, f.repository_url, f.documentation_url,
				f.api_spec_url, f.tags, f.labels, f.annotations, f.metadata, f.health_status, f.sla, f.compliance_status, f.deleted_at, f.provider)
			IS DISTINCT FROM (g.name, g.display_name, g.description, g.type, g.lifecycle, g.tier, g.owner_id, g.team_id, g.repository_url, g.documentation_url,
				g.api_spec_url, g.tags, g.labels, g.annotations, g.metadata, g.health_status, g.sla, g.compliance_status, g.deleted_at, g.provider);
	END IF;
	IF FOUND THEN
		PERFORM pg_notify('mortise_catalog', '');
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER catalog_feed_insert AFTER INSERT ON services
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION feed_services();
CREATE TRIGGER catalog_feed_update AFTER UPDATE ON services
	REFERENCING OLD TABLE AS gone NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION feed_services();
CREATE TRIGGER catalog_feed_delete AFTER DELETE ON services
	REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION feed_services();

-- The key is the source: a reader fetches all its relationships again.
CREATE FUNCTION feed_relationships() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO catalog_feed(kind, key) SELECT DISTINCT 'relationships', source_id FROM fresh;
	ELSIF TG_OP = 'DELETE' THEN
		INSERT INTO catalog_feed(kind, key) SELECT DISTINCT 'relationships', source_id FROM gone;
	ELSE
		INSERT INTO catalog_feed(kind, key) SELECT 'relationships', source_id FROM fresh UNION SELECT 'relationships', source_id FROM gone;
	END IF;
	IF FOUND THEN
		PERFORM pg_notify('mortise_catalog', '');
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER catalog_feed_insert AFTER INSERT ON service_relationships
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION feed_relationships();
CREATE TRIGGER catalog_feed_update AFTER UPDATE ON service_relationships
	REFERENCING OLD TABLE AS gone NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION feed_relationships();
CREATE TRIGGER catalog_feed_delete AFTER DELETE ON service_relationships
	REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION feed_relationships();

CREATE FUNCTION feed_teams() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO catalog_feed(kind, key) SELECT 'team', id FROM gone;
	ELSE
		INSERT INTO catalog_feed(kind, key) SELECT 'team', id FROM fresh;
	END IF;
	IF FOUND THEN
		PERFORM pg_notify('mortise_catalog', '');
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER catalog_feed_insert AFTER INSERT ON teams
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION feed_teams();
CREATE TRIGGER catalog_feed_update AFTER UPDATE ON teams
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION feed_teams();
CREATE TRIGGER catalog_feed_delete AFTER DELETE ON teams
	REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION feed_teams();
