-- What the host does by the clock. SECURITY DEFINER, since only the owner may make and detach partitions or refresh the view; no
-- argument reaches a statement unquoted, and mortise_supervisor alone may call them. All are idempotent; two nodes at once are one.
SET LOCAL search_path = public, pg_temp;

-- One range partition. Rows of the range that lie in the default partition would have it refused, so they are moved: out of a detached
-- default, because the triggers of an attached one would count it as a change of audit rows.
CREATE FUNCTION partition_make(p_table text, p_name text, p_from timestamptz, p_to timestamptz, p_scale text) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	rest text := p_table || '_default';
	col text := (SELECT a.attname FROM pg_partitioned_table t JOIN pg_attribute a ON a.attrelid = t.partrelid AND a.attnum = t.partattrs[0]
		WHERE t.partrelid = p_table::regclass);
	strays boolean;
BEGIN
	IF to_regclass(quote_ident(p_name)) IS NOT NULL THEN
		RETURN false;
	END IF;
	EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', p_table);
	EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE %I >= %L AND %2$I < %4$L)', rest, col, p_from, p_to) INTO strays;
	IF strays THEN
		EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', p_table, rest);
	END IF;
	EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L) WITH (autovacuum_vacuum_scale_factor = %s)',
		p_name, p_table, p_from, p_to, p_scale);
	IF strays THEN
		EXECUTE format('WITH moved AS (DELETE FROM %I WHERE %I >= %L AND %2$I < %4$L RETURNING *) INSERT INTO %5$I SELECT * FROM moved',
			rest, col, p_from, p_to, p_name);
		EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I DEFAULT', p_table, rest);
	END IF;
	IF p_table = 'audit_logs' THEN
		EXECUTE format('CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()', p_name);
	END IF;
	RETURN true;
END
$$;

-- Events and audit by month, from this one to three ahead; metrics by day, from today to a week ahead. Bounds are UTC.
CREATE FUNCTION job_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
	made integer := 0;
	at timestamptz;
BEGIN
	PERFORM pg_advisory_xact_lock(7305005);
	FOR i IN 0..3 LOOP
		at := date_trunc('month', now()) + make_interval(months => i);
		made := made + partition_make('events', 'events_' || to_char(at, 'YYYY_MM'), at, at + interval '1 month', '0.01')::int
			+ partition_make('audit_logs', 'audit_logs_' || to_char(at, 'YYYY_MM'), at, at + interval '1 month', '0.05')::int;
	END LOOP;
	FOR i IN 0..7 LOOP
		at := date_trunc('day', now()) + make_interval(days => i);
		made := made + partition_make('metrics', 'metrics_' || to_char(at, 'YYYY_MM_DD'), at, at + interval '1 day', '0.01')::int;
	END LOOP;
	RETURN made;
END
$$;

-- Rolls up complete hours and those that got late samples. The exclusive lock waits for inserts that saw the old watermark.
CREATE FUNCTION job_metrics_rollup() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
	state metrics_rollup_state;
	upto timestamptz := date_trunc('hour', now());
	n integer;
BEGIN
	PERFORM pg_advisory_xact_lock(7305002);
	SELECT * INTO state FROM metrics_rollup_state FOR UPDATE;
	IF upto > state.watermark THEN
		INSERT INTO metrics_dirty_hours(hour)
			SELECT DISTINCT date_trunc('hour', "time") FROM metrics
			WHERE "time" >= greatest(state.watermark, state.floor) AND "time" < upto ON CONFLICT DO NOTHING;
		UPDATE metrics_rollup_state SET watermark = upto;
	END IF;
	DELETE FROM metrics_rollup r USING metrics_dirty_hours d WHERE r.hour = d.hour;
	-- Per hour, so that each is one partition's index range and not a scan of all.
	INSERT INTO metrics_rollup
		SELECT d.hour, m.* FROM metrics_dirty_hours d, LATERAL (
			SELECT metric_name, service_id, plugin_id, environment, sum(value), count(*), min(value), max(value) FROM metrics
			WHERE "time" >= d.hour AND "time" < d.hour + interval '1 hour' GROUP BY 1, 2, 3, 4) m;
	DELETE FROM metrics_dirty_hours;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;

-- Samples older than 30 days go, once their hours are rolled up. Later samples of such hours do not count.
CREATE FUNCTION job_metrics_expire() RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
	edge timestamptz := date_trunc('day', now()) - interval '30 days';
	part record;
BEGIN
	PERFORM job_metrics_rollup();
	UPDATE metrics_rollup_state SET floor = edge WHERE floor < edge;
	FOR part IN
		SELECT c.relname, (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz AS upper
		FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid WHERE h.inhparent = 'metrics'::regclass
	LOOP
		IF part.upper <= edge THEN
			EXECUTE format('DROP TABLE %I', part.relname);
			RETURN NEXT part.relname;
		END IF;
	END LOOP;
	DELETE FROM metrics_default WHERE "time" < edge;
END
$$;

-- Months that ended 90 days ago leave the table and wait for their export, once all their rows are sealed (0028); the rows stay unchangeable.
CREATE FUNCTION job_audit_archive() RETURNS TABLE (name text, from_time timestamptz, to_time timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
	part record;
	unsealed boolean;
BEGIN
	PERFORM pg_advisory_xact_lock(7305005);
	FOR part IN
		SELECT c.relname, b[1]::timestamptz AS lower, b[2]::timestamptz AS upper
		FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid,
			LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)') b
		WHERE h.inhparent = 'audit_logs'::regclass AND b IS NOT NULL
	LOOP
		IF part.upper <= now() - interval '90 days' THEN
			EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I a, audit_sealer s WHERE a.xact >= s.below AND (a.xact, a.id) > (s.after_xact, s.after_id))',
				part.relname) INTO unsealed;
			CONTINUE WHEN unsealed;
			EXECUTE format('ALTER TABLE audit_logs DETACH PARTITION %I', part.relname);
			EXECUTE format('CREATE TRIGGER audit_logs_append_only BEFORE INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()', part.relname);
			INSERT INTO audit_archives(name, from_time, to_time) VALUES (part.relname, part.lower, part.upper);
		END IF;
	END LOOP;
	RETURN QUERY SELECT a.name, a.from_time, a.to_time FROM audit_archives a WHERE a.exported_at IS NULL ORDER BY a.from_time;
END
$$;

-- What has run out of time. Sessions and keys stay a month after their end, for those who ask what was theirs.
CREATE FUNCTION job_expire() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	total integer := 0;
	n integer;
BEGIN
	IF NOT pg_try_advisory_xact_lock(7305006) THEN
		RETURN 0;
	END IF;
	DELETE FROM plugin_kv WHERE expires_at < now();
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM call_operations WHERE created_at < now() - interval '1 day';
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM authority_feed WHERE at < now() - interval '1 day';
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM catalog_feed WHERE at < now() - interval '1 day';
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	UPDATE catalog_syncs SET state = 'abandoned', finished_at = now() WHERE state = 'running' AND started_at < now() - interval '1 day';
	DELETE FROM catalog_sync_seen e WHERE NOT EXISTS (SELECT 1 FROM catalog_syncs s WHERE s.id = e.sync_id AND s.state = 'running');
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM package_chunks c WHERE added_at < now() - interval '1 day'
		AND NOT EXISTS (SELECT 1 FROM packages p WHERE p.digest = c.digest AND p.stored);
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM sessions WHERE expires_at < now() - interval '30 days' AND coalesce(refresh_expires_at, expires_at) < now() - interval '30 days';
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM second_factor_enrolments WHERE expires_at < now();
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM second_factor_messages WHERE expires_at < now() AND since < now() - interval '1 hour';
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM login_attempts WHERE last_at < now() - interval '1 day' AND blocked_until < now();
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	DELETE FROM login_places WHERE last_at < now() - interval '90 days';
	GET DIAGNOSTICS n = ROW_COUNT; total := total + n;
	RETURN total;
END
$$;

CREATE FUNCTION job_refresh_health() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF pg_try_advisory_xact_lock(7305007) THEN
		REFRESH MATERIALIZED VIEW CONCURRENTLY service_health_summary;
	END IF;
END
$$;

-- The partition's name is the tenant's; what the name cannot hold is refused, not bent.
CREATE FUNCTION job_tenant_create(p_tenant text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF p_tenant IS NULL OR p_tenant !~ '^[a-z0-9_]{1,30}$' THEN
		RAISE EXCEPTION 'tenant ''%'' is malformed', p_tenant USING ERRCODE = '22023', HINT = 'Use a-z, 0-9 and _, at most 30.';
	END IF;
	PERFORM pg_advisory_xact_lock(7305005);
	IF EXISTS (SELECT 1 FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = 'tenant_data'::regclass AND pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES IN (%L)', p_tenant)) THEN
		RETURN false;
	END IF;
	EXECUTE format('CREATE TABLE %I PARTITION OF tenant_data FOR VALUES IN (%L)', 'tenant_data_of_' || p_tenant, p_tenant);
	PERFORM audit_write('tenant.create', 'tenant', p_tenant, p_tenant);
	RETURN true;
END
$$;

SELECT job_partitions();
