-- Instances: one installation on one node, its state, health and use; and how instances ended.
SET LOCAL search_path = public, pg_temp;

CREATE TABLE plugin_instances (
	installation_id varchar(30) NOT NULL REFERENCES plugin_installations,
	node_id varchar(64) NOT NULL REFERENCES nodes,
	state plugin_status NOT NULL,
	version varchar(50),
	digest varchar(71),
	generation bigint NOT NULL DEFAULT 0,
	pid integer,
	health health_status NOT NULL DEFAULT 'unknown',
	health_detail jsonb,
	cpu_ns bigint NOT NULL DEFAULT 0,
	cpu_percent numeric(9,2),
	memory_bytes bigint,
	disk_bytes bigint,
	restarts integer NOT NULL DEFAULT 0,
	failure jsonb,
	started_at timestamptz,
	sampled_at timestamptz,
	moved_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	fencing_token bigint NOT NULL,
	PRIMARY KEY (installation_id, node_id)
) WITH (fillfactor = 70);
CREATE INDEX plugin_instances_node ON plugin_instances (node_id);

CREATE SEQUENCE instance_generations;

CREATE TABLE plugin_terminations (
	id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	installation_id varchar(30) NOT NULL REFERENCES plugin_installations,
	node_id varchar(64) NOT NULL,
	generation bigint,
	plugin_name varchar(255) NOT NULL,
	version varchar(50),
	digest varchar(71),
	kind varchar(20) NOT NULL CHECK (kind IN ('exit', 'crash', 'stall', 'leak', 'limit', 'start', 'health')),
	callback text,
	request_ids text[] NOT NULL DEFAULT '{}',
	signal integer,
	exit_status integer,
	reason text,
	cpu_ns bigint,
	memory_bytes bigint,
	backtrace text,
	occurred_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX plugin_terminations_installation ON plugin_terminations (installation_id, id DESC);

-- available -> installing -> installed <-> disabled    installed -> updating -> installed
-- installing -> available, when nothing was committed  disabled, failed -> uninstalling -> available
-- failed -> installing                                 any but available -> failed
-- The same table as in core/lifecycle/state.c: there it decides, here it holds against every writer.
CREATE FUNCTION state_follows(a plugin_status, b plugin_status) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
	SELECT b = 'failed' AND a <> 'available' OR (a, b) IN (
		('available', 'installing'), ('installing', 'installed'), ('installing', 'available'),
		('installed', 'updating'), ('installed', 'disabled'), ('updating', 'installed'),
		('disabled', 'installed'), ('disabled', 'uninstalling'),
		('failed', 'installing'), ('failed', 'uninstalling'), ('uninstalling', 'available'))
$$;

CREATE FUNCTION check_instance_state() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	old_state plugin_status := CASE WHEN TG_OP = 'UPDATE' THEN OLD.state ELSE 'available' END;
BEGIN
	IF old_state <> NEW.state AND NOT state_follows(old_state, NEW.state) THEN
		RAISE EXCEPTION 'an instance that is % cannot become %', old_state, NEW.state USING ERRCODE = 'MC005';
	END IF;
	NEW.moved_at := now();
	RETURN NEW;
END
$$;
CREATE TRIGGER plugin_instances_state BEFORE INSERT OR UPDATE OF state ON plugin_instances
	FOR EACH ROW EXECUTE FUNCTION check_instance_state();

-- The first present of these; no instance at all is available.
CREATE FUNCTION state_of(states plugin_status[]) RETURNS plugin_status
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
	SELECT coalesce((SELECT s FROM unnest(ARRAY['failed', 'updating', 'installing', 'uninstalling', 'installed', 'disabled']::plugin_status[])
		WITH ORDINALITY o(s, n) WHERE s = ANY (states) ORDER BY n LIMIT 1), 'available')
$$;

CREATE FUNCTION derive_plugin_status() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	v_plugin varchar := (SELECT plugin_id FROM plugin_installations
		WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.installation_id ELSE NEW.installation_id END);
	derived plugin_status;
BEGIN
	-- Two nodes that move instances of one plugin at once: the second one waits here, and then sees the first one's move.
	PERFORM 1 FROM plugins WHERE id = v_plugin FOR NO KEY UPDATE;
	derived := state_of(ARRAY(SELECT n.state FROM plugin_instances n JOIN plugin_installations i ON i.id = n.installation_id
		WHERE i.plugin_id = v_plugin));
	UPDATE plugins SET status = derived WHERE id = v_plugin AND status <> derived;
	RETURN NULL;
END
$$;
CREATE TRIGGER plugin_instances_status_insert AFTER INSERT OR DELETE ON plugin_instances
	FOR EACH ROW EXECUTE FUNCTION derive_plugin_status();
CREATE TRIGGER plugin_instances_status_update AFTER UPDATE OF state ON plugin_instances
	FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION derive_plugin_status();

-- NULL version, digest: as they are. A failure stays until the instance leaves 'failed'.
CREATE FUNCTION instance_move(p_node text, p_token bigint, p_installation text, p_state plugin_status, p_version text DEFAULT NULL,
	p_digest text DEFAULT NULL, p_failure jsonb DEFAULT NULL) RETURNS plugin_instances
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	instance plugin_instances;
BEGIN
	PERFORM node_check(p_node, p_token);
	UPDATE plugin_instances SET state = p_state, version = coalesce(p_version, version), digest = coalesce(p_digest, digest),
		failure = CASE WHEN p_state = 'failed' THEN coalesce(p_failure, failure) END,
		pid = CASE WHEN p_state IN ('installing', 'installed', 'updating') THEN pid END, fencing_token = p_token
	WHERE installation_id = p_installation AND node_id = p_node RETURNING * INTO instance;
	IF instance.node_id IS NULL THEN
		INSERT INTO plugin_instances(installation_id, node_id, state, version, digest, fencing_token)
		VALUES (p_installation, p_node, p_state, p_version, p_digest, p_token) RETURNING * INTO instance;
	END IF;
	RETURN instance;
END
$$;

-- A new worker: its generation goes into every later sample, so that a late one of its predecessor changes nothing.
CREATE FUNCTION instance_started(p_node text, p_token bigint, p_installation text, p_pid integer) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	v_generation bigint;
BEGIN
	PERFORM node_check(p_node, p_token);
	UPDATE plugin_instances SET generation = nextval('instance_generations'), pid = p_pid, health = 'unknown', health_detail = NULL,
		started_at = now(), fencing_token = p_token
	WHERE installation_id = p_installation AND node_id = p_node RETURNING generation INTO v_generation;
	IF v_generation IS NULL THEN
		RAISE EXCEPTION 'installation ''%'' has no instance on node ''%''', p_installation, p_node USING ERRCODE = 'P0002';
	END IF;
	RETURN v_generation;
END
$$;

-- The samples of all instances of a node, one statement each for rows and metrics.
CREATE FUNCTION instance_samples(p_node text, p_token bigint, p_samples jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	node nodes := node_check(p_node, p_token);
	n integer;
BEGIN
	WITH updated AS (
		UPDATE plugin_instances t SET
			health = coalesce(s.health, t.health), health_detail = coalesce(s.health_detail, t.health_detail),
			cpu_ns = coalesce(s.cpu_ns, t.cpu_ns), cpu_percent = coalesce(s.cpu_percent, t.cpu_percent),
			memory_bytes = coalesce(s.memory_bytes, t.memory_bytes), disk_bytes = coalesce(s.disk_bytes, t.disk_bytes),
			restarts = coalesce(s.restarts, t.restarts), sampled_at = now()
		FROM jsonb_to_recordset(p_samples) AS s(installation_id text, generation bigint, health health_status, health_detail jsonb,
			cpu_ns bigint, cpu_percent numeric, memory_bytes bigint, disk_bytes bigint, restarts integer)
		WHERE t.installation_id = s.installation_id AND t.node_id = p_node AND t.generation <= s.generation
		RETURNING t.installation_id, s.cpu_percent, s.memory_bytes, s.disk_bytes
	), measured AS (
		INSERT INTO metrics("time", metric_name, metric_type, plugin_id, environment, value, unit, labels)
		SELECT now(), v.name, 'gauge', i.plugin_id, node.environment, v.value, v.unit,
			jsonb_build_object('node', p_node, 'installation', u.installation_id)
		FROM updated u JOIN plugin_installations i ON i.id = u.installation_id,
			LATERAL (VALUES ('plugin.cpu_percent', u.cpu_percent::float8, 'percent'), ('plugin.memory_bytes', u.memory_bytes::float8, 'bytes'),
				('plugin.disk_bytes', u.disk_bytes::float8, 'bytes')) v(name, value, unit)
		WHERE v.value IS NOT NULL
	)
	SELECT count(*) INTO n FROM updated;
	RETURN n;
END
$$;

CREATE FUNCTION metrics_write(p_node text, p_token bigint, p_samples jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	node nodes := node_check(p_node, p_token);
	n integer;
BEGIN
	INSERT INTO metrics("time", metric_name, metric_type, service_id, plugin_id, environment, value, unit, labels)
	SELECT coalesce(s."time", now()), s.name, coalesce(s.type, 'gauge'), s.service_id, i.plugin_id, node.environment, s.value, s.unit,
		coalesce(s.labels, '{}') || jsonb_build_object('node', p_node)
	FROM jsonb_to_recordset(p_samples) AS s("time" timestamptz, name text, type text, installation_id text, service_id text,
		value float8, unit text, labels jsonb)
	LEFT JOIN plugin_installations i ON i.id = s.installation_id;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;

-- Sums over the nodes that reported in the last minute: cpu in percent of one core, memory and disk in MB, rounded up.
CREATE FUNCTION installations_rollup(p_node text, p_token bigint) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	n integer;
	worst constant health_status[] := ARRAY['unhealthy', 'degraded', 'unknown', 'healthy']::health_status[];
BEGIN
	IF NOT lease_take(p_node, p_token, 'rollup', interval '90 seconds') THEN
		RETURN 0;
	END IF;
	WITH used AS (
		SELECT i.id, worst[min(array_position(worst, t.health))] AS health, max(t.sampled_at) AS checked,
			least(sum(t.cpu_percent), 99999.99) AS cpu, least(ceil(sum(t.memory_bytes) / 1048576.0), 2147483647) AS memory,
			least(ceil(sum(t.disk_bytes) / 1048576.0), 2147483647) AS disk,
			coalesce(jsonb_object_agg(t.node_id, jsonb_build_object('health', t.health, 'restarts', t.restarts)) FILTER (WHERE t.node_id IS NOT NULL), '{}') AS nodes
		FROM plugin_installations i
		LEFT JOIN plugin_instances t ON t.installation_id = i.id AND t.sampled_at > now() - interval '1 minute'
			AND t.state IN ('installed', 'updating')
		WHERE i.environment = (SELECT environment FROM nodes WHERE id = p_node)
		GROUP BY i.id
	)
	UPDATE plugin_installations i SET health_status = coalesce(u.health, 'unknown'), last_health_check = coalesce(u.checked, i.last_health_check),
		cpu_usage = u.cpu, memory_usage = u.memory, disk_usage = u.disk, health_metrics = u.nodes
	FROM used u
	WHERE i.id = u.id AND (i.health_status, i.last_health_check, i.cpu_usage, i.memory_usage, i.disk_usage, i.health_metrics)
		IS DISTINCT FROM (coalesce(u.health, 'unknown'), coalesce(u.checked, i.last_health_check), u.cpu, u.memory::integer, u.disk::integer, u.nodes);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;

-- The record's members are the table's columns; node and plugin name are known here.
CREATE FUNCTION termination_write(p_node text, p_token bigint, p_record jsonb) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	r plugin_terminations := jsonb_populate_record(NULL::plugin_terminations, p_record);
	v_id bigint;
BEGIN
	PERFORM node_check(p_node, p_token);
	INSERT INTO plugin_terminations(installation_id, node_id, generation, plugin_name, version, digest, kind, callback, request_ids,
		signal, exit_status, reason, cpu_ns, memory_bytes, backtrace, occurred_at)
	SELECT i.id, p_node, r.generation, p.name, coalesce(r.version, t.version), coalesce(r.digest, t.digest), r.kind, r.callback,
		coalesce(r.request_ids, '{}'), r.signal, r.exit_status, r.reason, r.cpu_ns, r.memory_bytes, r.backtrace, coalesce(r.occurred_at, now())
	FROM plugin_installations i JOIN plugins p ON p.id = i.plugin_id
	LEFT JOIN plugin_instances t ON t.installation_id = i.id AND t.node_id = p_node
	WHERE i.id = r.installation_id
	RETURNING id INTO v_id;
	IF v_id IS NULL THEN
		RAISE EXCEPTION 'installation ''%'' is unknown', r.installation_id USING ERRCODE = 'P0002';
	END IF;
	RETURN v_id;
END
$$;
