-- Nodes, leases and settings.
SET LOCAL search_path = public, pg_temp;

CREATE SEQUENCE fencing_tokens;

-- A machine that runs mortised. Whoever holds its data folder's lock takes the row; each taking draws a new token, and every
-- write of an older one is refused. A lease that has run out is not renewed but taken anew, since the world may have moved on.
CREATE TABLE nodes (
	id varchar(64) PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9._-]+$'),
	environment varchar(50) NOT NULL,
	fencing_token bigint NOT NULL,
	lease_until timestamptz NOT NULL,
	facts jsonb NOT NULL DEFAULT '{}',
	taken_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	renewed_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX nodes_environment ON nodes (environment);

-- Work that one node of an environment does for all. The fencing token is the holding node's.
CREATE TABLE leases (
	environment varchar(50) NOT NULL,
	name varchar(100) NOT NULL,
	node_id varchar(64) NOT NULL REFERENCES nodes ON DELETE CASCADE,
	fencing_token bigint NOT NULL,
	lease_until timestamptz NOT NULL,
	PRIMARY KEY (environment, name)
);
CREATE INDEX leases_node ON leases (node_id);

-- environment '' is the default for all.
CREATE TABLE host_settings (
	environment varchar(50) NOT NULL DEFAULT '',
	name varchar(100) NOT NULL,
	value jsonb NOT NULL,
	updated_by varchar(30) REFERENCES users,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (environment, name),
	CHECK (name <> 'catalog.visibility' OR value IN ('"team"', '"everyone"'))
);

CREATE FUNCTION node_lease(p_node text, p_environment text, p_token bigint, p_ttl interval, p_facts jsonb DEFAULT NULL) RETURNS nodes
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	node nodes;
BEGIN
	IF p_ttl IS NULL OR p_ttl < interval '1 second' OR p_ttl > interval '1 hour' THEN
		RAISE EXCEPTION 'lease of %: not between a second and an hour', p_ttl USING ERRCODE = '22023';
	END IF;
	IF p_token IS NULL THEN
		INSERT INTO nodes AS n (id, environment, fencing_token, lease_until, facts)
		VALUES (p_node, p_environment, nextval('fencing_tokens'), clock_timestamp() + p_ttl, coalesce(p_facts, '{}'))
		ON CONFLICT (id) DO UPDATE SET environment = EXCLUDED.environment, fencing_token = EXCLUDED.fencing_token,
			lease_until = EXCLUDED.lease_until, facts = EXCLUDED.facts, taken_at = now(), renewed_at = now()
			-- Drawn before this one waited for the row: a later taker was faster.
			WHERE n.fencing_token < EXCLUDED.fencing_token
		RETURNING * INTO node;
	ELSE
		UPDATE nodes SET lease_until = clock_timestamp() + p_ttl, renewed_at = now(), facts = coalesce(p_facts, facts)
		WHERE id = p_node AND environment = p_environment AND fencing_token = p_token AND lease_until > clock_timestamp()
		RETURNING * INTO node;
	END IF;
	IF node.id IS NULL THEN
		RAISE EXCEPTION 'node ''%'' is fenced off', p_node
			USING ERRCODE = 'MF001', HINT = 'Another process took the node, or its lease ran out: take it anew and reconcile.';
	END IF;
	RETURN node;
END
$$;

-- Holds the node's row until the end of the transaction, so that nobody takes the node before this write has landed.
CREATE FUNCTION node_check(p_node text, p_token bigint) RETURNS nodes
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	node nodes;
BEGIN
	SELECT * INTO node FROM nodes WHERE id = p_node FOR SHARE;
	IF node.id IS NULL OR node.fencing_token IS DISTINCT FROM p_token OR node.lease_until <= clock_timestamp() THEN
		RAISE EXCEPTION 'node ''%'' is fenced off', p_node
			USING ERRCODE = 'MF001', HINT = 'Another process took the node, or its lease ran out: take it anew and reconcile.';
	END IF;
	RETURN node;
END
$$;

CREATE FUNCTION node_release(p_node text, p_token bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	DELETE FROM leases WHERE node_id = p_node AND fencing_token = p_token;
	UPDATE nodes SET lease_until = clock_timestamp() WHERE id = p_node AND fencing_token = p_token;
END
$$;

CREATE FUNCTION lease_take(p_node text, p_token bigint, p_name text, p_ttl interval) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	node nodes := node_check(p_node, p_token);
BEGIN
	INSERT INTO leases AS l (environment, name, node_id, fencing_token, lease_until)
	VALUES (node.environment, p_name, p_node, p_token, clock_timestamp() + p_ttl)
	ON CONFLICT (environment, name) DO UPDATE SET node_id = EXCLUDED.node_id, fencing_token = EXCLUDED.fencing_token,
		lease_until = EXCLUDED.lease_until
		WHERE l.node_id = EXCLUDED.node_id OR l.lease_until <= clock_timestamp();
	RETURN FOUND;
END
$$;

CREATE FUNCTION setting_put(p_environment text, p_name text, p_value jsonb) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	old jsonb := (SELECT value FROM host_settings WHERE environment = p_environment AND name = p_name);
BEGIN
	INSERT INTO host_settings(environment, name, value, updated_by) VALUES (p_environment, p_name, p_value, app_user_id())
	ON CONFLICT (environment, name) DO UPDATE SET value = EXCLUDED.value, updated_by = EXCLUDED.updated_by, updated_at = now();
	PERFORM audit_write('setting.put', 'host_setting', p_environment || '/' || p_name, p_name, old, p_value);
END
$$;
