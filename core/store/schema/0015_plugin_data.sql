-- What plugins keep: key-value pairs, and the answers to their mutating calls. Rows of one plugin are seen by that plugin alone (0017).
SET LOCAL search_path = public, pg_temp;

-- Never reused, so that an etag of a deleted pair fits no later one.
CREATE SEQUENCE plugin_kv_etags;

CREATE TABLE plugin_kv (
	installation_id varchar(30) NOT NULL REFERENCES plugin_installations ON DELETE CASCADE,
	key text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),
	value jsonb,
	bytes bytea,
	etag bigint NOT NULL DEFAULT nextval('plugin_kv_etags'),
	expires_at timestamptz,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (installation_id, key),
	CHECK (num_nonnulls(value, bytes) = 1),
	CHECK (octet_length(bytes) <= 16777216)
);
CREATE INDEX plugin_kv_expires ON plugin_kv (expires_at) WHERE expires_at IS NOT NULL;

-- The answer of each mutating call that carried an operation key, so that repeating it is safe.
CREATE TABLE call_operations (
	installation_id varchar(30) NOT NULL REFERENCES plugin_installations ON DELETE CASCADE,
	operation varchar(255) NOT NULL CHECK (operation <> ''),
	method varchar(100) NOT NULL,
	result jsonb,
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (installation_id, operation)
);
CREATE INDEX call_operations_created ON call_operations (created_at);

-- The row if the call was made before, else nothing; the same call made at the same time waits here.
CREATE FUNCTION operation_find(p_operation text, p_method text) RETURNS call_operations
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	found call_operations;
BEGIN
	IF p_operation IS NULL THEN
		RETURN NULL;
	END IF;
	IF app_plugin() = '' THEN
		RAISE EXCEPTION 'operation keys belong to plugins' USING ERRCODE = '22023';
	END IF;
	PERFORM pg_advisory_xact_lock(hashtextextended(app_plugin() || ' ' || p_operation, 7305003));
	SELECT * INTO found FROM call_operations WHERE installation_id = app_plugin() AND operation = p_operation;
	IF found.method <> p_method THEN
		RAISE EXCEPTION 'operation key ''%'' was used for ''%''', p_operation, found.method USING ERRCODE = 'MC008';
	END IF;
	RETURN found;
END
$$;

CREATE FUNCTION operation_keep(p_operation text, p_method text, p_result jsonb) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF p_operation IS NOT NULL THEN
		INSERT INTO call_operations(installation_id, operation, method, result) VALUES (app_plugin(), p_operation, p_method, p_result);
	END IF;
END
$$;

CREATE FUNCTION kv_get(p_key text) RETURNS TABLE (value jsonb, bytes bytea, etag bigint, expires_at timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT k.value, k.bytes, k.etag, k.expires_at FROM plugin_kv k
	WHERE k.installation_id = app_plugin() AND k.key = p_key AND (k.expires_at IS NULL OR k.expires_at > now())
$$;

-- Keys that begin with prefix, after the given one, in byte order.
CREATE FUNCTION kv_list(p_prefix text, p_after text, p_limit integer) RETURNS TABLE (key text, etag bigint, size integer, expires_at timestamptz)
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT k.key, k.etag, coalesce(octet_length(k.bytes), octet_length(k.value::text)), k.expires_at FROM plugin_kv k
	WHERE k.installation_id = app_plugin() AND k.key >= p_prefix AND starts_with(k.key, p_prefix)
		AND (p_after IS NULL OR k.key > p_after) AND (k.expires_at IS NULL OR k.expires_at > now())
	ORDER BY k.key LIMIT p_limit
$$;

CREATE FUNCTION kv_put(p_key text, p_value jsonb, p_bytes bytea, p_etag bigint, p_ttl interval, p_operation text) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'kv.put');
	fresh bigint;
BEGIN
	IF done.operation IS NOT NULL THEN
		RETURN done.result;
	END IF;
	DELETE FROM plugin_kv WHERE installation_id = app_plugin() AND key = p_key AND expires_at <= now();
	IF p_etag IS NULL OR p_etag = 0 THEN
		INSERT INTO plugin_kv AS k (installation_id, key, value, bytes, expires_at) VALUES (app_plugin(), p_key, p_value, p_bytes, now() + p_ttl)
		ON CONFLICT (installation_id, key) DO UPDATE SET value = EXCLUDED.value, bytes = EXCLUDED.bytes, etag = EXCLUDED.etag,
			expires_at = EXCLUDED.expires_at, updated_at = now() WHERE p_etag IS NULL
		RETURNING k.etag INTO fresh;
	ELSE
		UPDATE plugin_kv SET value = p_value, bytes = p_bytes, etag = nextval('plugin_kv_etags'), expires_at = now() + p_ttl, updated_at = now()
		WHERE installation_id = app_plugin() AND key = p_key AND etag = p_etag RETURNING etag INTO fresh;
	END IF;
	PERFORM operation_keep(p_operation, 'kv.put', to_jsonb(fresh));
	RETURN fresh;
END
$$;

CREATE FUNCTION kv_delete(p_key text, p_etag bigint, p_operation text) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'kv.delete');
	gone boolean;
BEGIN
	IF done.operation IS NOT NULL THEN
		RETURN done.result;
	END IF;
	DELETE FROM plugin_kv WHERE installation_id = app_plugin() AND key = p_key AND (p_etag IS NULL OR etag = p_etag);
	gone := FOUND;
	PERFORM operation_keep(p_operation, 'kv.delete', to_jsonb(gone));
	RETURN gone;
END
$$;
