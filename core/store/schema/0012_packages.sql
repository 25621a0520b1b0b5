-- Packages, their bytes and signatures, and whom this host trusts.
SET LOCAL search_path = public, pg_temp;

-- A publisher, one of its plugins, or '*': the forms that package/trust.h takes. One other entry would make the whole set unreadable.
CREATE FUNCTION trust_namespace_valid(p_namespace text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
	SELECT p_namespace IS NOT NULL AND p_namespace ~ '^(\*|[a-z0-9][a-z0-9-]{0,29}(/[a-z0-9][a-z0-9-]{0,63})?)$'
$$;
CREATE FUNCTION trust_namespaces_valid(p_namespaces text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
	SELECT coalesce(cardinality(p_namespaces) BETWEEN 1 AND 64, false) AND (SELECT bool_and(trust_namespace_valid(n)) FROM unnest(p_namespaces) n)
$$;

-- Publisher keys. The id is the digest of the key, so a row cannot name one key and hold another.
CREATE TABLE trust_keys (
	key_id varchar(72) PRIMARY KEY CHECK (key_id = 'ed25519:' || encode(sha256(public_key), 'hex')),
	public_key bytea NOT NULL CHECK (length(public_key) = 32),
	name varchar(255) NOT NULL CHECK (name <> ''),
	namespaces text[] NOT NULL CHECK (trust_namespaces_valid(namespaces)),
	roles text[] NOT NULL DEFAULT '{}' CHECK (roles <@ ARRAY['in-process']),
	development boolean NOT NULL DEFAULT false,
	expires_at timestamptz,
	state varchar(20) NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revoked')),
	reason text,
	added_by varchar(30) REFERENCES users,
	added_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	revoked_at timestamptz,
	CHECK ((state = 'revoked') = (revoked_at IS NOT NULL))
);

-- One exact package that is let in without a trusted key.
CREATE TABLE trust_pins (
	digest varchar(71) PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
	reason text NOT NULL CHECK (reason <> ''),
	expires_at timestamptz NOT NULL,
	added_by varchar(30) REFERENCES users,
	added_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- A verified package: the manifest as it was signed, and the signed bytes themselves.
CREATE TABLE packages (
	digest varchar(71) PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
	plugin_id varchar(30) NOT NULL REFERENCES plugins,
	version varchar(50) NOT NULL,
	manifest jsonb NOT NULL,
	envelope bytea NOT NULL CHECK (length(envelope) <= 1048576),
	size bigint NOT NULL CHECK (size > 0),
	key_id varchar(72) REFERENCES trust_keys,
	stored boolean NOT NULL DEFAULT false,
	added_by varchar(30) REFERENCES users,
	added_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	UNIQUE (plugin_id, version)
);

-- The bytes of sideloaded packages, so that every node gets them. Written before the packages row; what no row names, job_expire removes.
CREATE TABLE package_chunks (
	digest varchar(71) NOT NULL,
	number integer NOT NULL CHECK (number >= 0),
	data bytea NOT NULL CHECK (length(data) BETWEEN 1 AND 1048576),
	added_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (digest, number)
);
-- Packages are compressed already.
ALTER TABLE package_chunks ALTER data SET STORAGE EXTERNAL;

CREATE TABLE plugin_signatures (
	digest varchar(71) NOT NULL REFERENCES packages ON DELETE CASCADE,
	key_id varchar(72) NOT NULL REFERENCES trust_keys,
	verified_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (digest, key_id)
);

CREATE FUNCTION package_chunk_put(p_node text, p_token bigint, p_digest text, p_number integer, p_data bytea) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM node_check(p_node, p_token);
	INSERT INTO package_chunks(digest, number, data) VALUES (p_digest, p_number, p_data) ON CONFLICT DO NOTHING;
END
$$;

CREATE FUNCTION json_texts(value jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN jsonb_typeof(value) = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(value)) ELSE '{}' END
$$;

-- What a node needs of a package, in columns: the supervisor parses no manifest. What a manifest leaves out has the value that
-- core/package/manifest.h promises. Stage checked every member, so the casts cannot fail.
CREATE FUNCTION package_facts(p_digest text, p_triplet text) RETURNS TABLE (name text, version text, mount text, entry text, needs text[], wants text[],
	provides text[], route_names text[], route_methods text[], route_patterns text[], route_scopes text[], route_deadlines_ms bigint[],
	route_body_limits bigint[], health_interval_ms bigint, health_timeout_ms bigint, health_failures bigint, memory_bytes bigint, disk_bytes bigint,
	file_paths text[], file_sizes bigint[], file_modes text[], file_hashes bytea[])
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT m->>'name', m->>'version', mount, m->'entry'->>p_triplet, json_texts(m#>'{requires,abi}'), json_texts(m#>'{requires,optional}'),
		json_texts(m->'provides'), r.names, r.methods, r.patterns, r.scopes, r.deadlines_ms, r.body_limits,
		coalesce((m#>>'{health,interval_ms}')::bigint, 5000), coalesce((m#>>'{health,timeout_ms}')::bigint, 2000),
		coalesce((m#>>'{health,failures}')::bigint, 3),
		coalesce((m#>>'{resources,memory_bytes}')::bigint, 0), coalesce((m#>>'{resources,disk_bytes}')::bigint, 0),
		f.paths, f.sizes, f.modes, f.hashes
	FROM packages k
	CROSS JOIN LATERAL (SELECT k.manifest, coalesce(k.manifest->>'mount', split_part(k.manifest->>'name', '/', 2))) AS p(m, mount)
	CROSS JOIN LATERAL (SELECT array_agg(o->>'name' ORDER BY n) AS names, array_agg(o->>'method' ORDER BY n) AS methods,
			array_agg('/api/' || mount || (o->>'pattern') ORDER BY n) AS patterns, array_agg(o->>'scope' ORDER BY n) AS scopes,
			array_agg(coalesce((o->>'deadline_ms')::bigint, 30000) ORDER BY n) AS deadlines_ms,
			array_agg(coalesce((o->>'body_limit')::bigint, 1048576) ORDER BY n) AS body_limits
		FROM jsonb_array_elements(m->'routes') WITH ORDINALITY AS e(o, n)) r
	CROSS JOIN LATERAL (SELECT array_agg(o->>'path' ORDER BY n) AS paths, array_agg((o->>'size')::bigint ORDER BY n) AS sizes,
			array_agg(o->>'mode' ORDER BY n) AS modes, array_agg(decode(o->>'sha256', 'hex') ORDER BY n) AS hashes
		FROM jsonb_array_elements(m->'files') WITH ORDINALITY AS e(o, n)) f
	WHERE k.digest = p_digest
$$;

-- The rows of one verified package. The same digest again changes nothing.
CREATE FUNCTION package_register(p_node text, p_token bigint, p_digest text, p_manifest jsonb, p_envelope bytea, p_size bigint,
	p_key_id text, p_actor text, p_stored boolean) RETURNS TABLE (plugin_id varchar, version_id varchar, created boolean)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
	m jsonb := p_manifest;
	v_name text := m->>'name';
	v_version text := m->>'version';
	v_plugin varchar;
	v_release varchar;
	v_digest text;
	v_stored_size bigint;
	v_stored_chunks bigint;
BEGIN
	PERFORM node_check(p_node, p_token);
	IF v_name IS NULL OR v_version IS NULL THEN
		RAISE EXCEPTION 'the manifest names no plugin or no version' USING ERRCODE = '22023';
	END IF;
	IF p_stored THEN
		SELECT count(*), coalesce(sum(length(data)), 0) INTO v_stored_chunks, v_stored_size FROM package_chunks WHERE digest = p_digest;
		IF v_stored_size <> p_size OR v_stored_chunks <> (p_size + 1048575) / 1048576 THEN
			RAISE EXCEPTION 'package ''%'' has % of % bytes stored', p_digest, v_stored_size, p_size
				USING ERRCODE = 'MP002', HINT = 'Store every chunk before registering the package.';
		END IF;
	END IF;

	INSERT INTO plugins AS p (name, display_name, current_version) VALUES (v_name, m->>'display_name', v_version)
	ON CONFLICT (name) DO UPDATE SET updated_at = now() -- locks the row: versions of one plugin register one at a time
	RETURNING p.id INTO v_plugin;

	SELECT v.id, v.checksum INTO v_release, v_digest FROM plugin_versions v WHERE v.plugin_id = v_plugin AND v.version = v_version;
	IF v_digest <> p_digest THEN
		RAISE EXCEPTION 'version ''%'' of ''%'' is registered with another digest, ''%''', v_version, v_name, v_digest
			USING ERRCODE = 'MP001', HINT = 'Publish changed contents under a new version.';
	END IF;
	created := NOT EXISTS (SELECT 1 FROM packages WHERE digest = p_digest);
	IF v_release IS NULL THEN
		INSERT INTO plugin_versions(plugin_id, version, changelog, release_notes, breaking_changes, min_platform_version, max_platform_version,
			min_backstage_version, max_backstage_version, package_size, checksum, is_stable, is_beta, released_at)
		VALUES (v_plugin, v_version, m->>'changelog', m->>'release_notes', coalesce((m->>'breaking')::boolean, false),
			m#>>'{platform,min}', m#>>'{platform,max}', m#>>'{backstage,min}', m#>>'{backstage,max}', p_size, p_digest,
			strpos(split_part(v_version, '+', 1), '-') = 0, strpos(split_part(v_version, '+', 1), '-') > 0,
			coalesce((m->>'released_at')::timestamptz, now()))
		RETURNING id INTO v_release;
	ELSIF v_digest IS NULL THEN
		UPDATE plugin_versions SET checksum = p_digest, package_size = p_size WHERE id = v_release;
	END IF;
	IF created THEN
		INSERT INTO packages(digest, plugin_id, version, manifest, envelope, size, key_id, stored, added_by)
		VALUES (p_digest, v_plugin, v_version, m, p_envelope, p_size, p_key_id, p_stored, (SELECT id FROM users WHERE id = p_actor));
	ELSIF p_stored THEN
		UPDATE packages SET stored = true WHERE digest = p_digest AND NOT stored;
	END IF;
	IF p_key_id IS NOT NULL THEN
		INSERT INTO plugin_signatures(digest, key_id) VALUES (p_digest, p_key_id) ON CONFLICT DO NOTHING;
	END IF;

	IF created THEN
		-- The plugin's row describes its newest release; current is the newest that is no pre-release.
		UPDATE plugins p SET latest_version = newest.version, current_version = coalesce(stable.version, newest.version)
		FROM (SELECT v.version FROM plugin_versions v WHERE v.plugin_id = v_plugin ORDER BY semver_order(v.version) COLLATE "C" DESC LIMIT 1) newest
		LEFT JOIN (SELECT v.version FROM plugin_versions v WHERE v.plugin_id = v_plugin AND v.is_stable
			ORDER BY semver_order(v.version) COLLATE "C" DESC LIMIT 1) stable ON true
		WHERE p.id = v_plugin;
		UPDATE plugins p SET display_name = coalesce(m->>'display_name', p.display_name), description = m->>'description',
			category = m->>'category', tags = json_texts(m->'tags'), author = m->'author', license = m->>'license',
			homepage = m->>'homepage', repository = m->>'repository', documentation = m->>'documentation',
			requirements = jsonb_strip_nulls(jsonb_build_object('abi', m->'requires', 'platform', m->'platform', 'backstage', m->'backstage')),
			dependencies = coalesce(m->'dependencies', '[]'), peer_dependencies = coalesce(m->'peer_dependencies', '[]'),
			config_schema = m#>'{config,schema}', default_config = coalesce(m#>'{config,defaults}', '{}'),
			is_verified = p_key_id IS NOT NULL, published_at = coalesce(p.published_at, now())
		WHERE p.id = v_plugin AND p.latest_version = v_version;
		PERFORM audit_write('package.register', 'package', p_digest, v_name || ' ' || v_version,
			p_new => jsonb_build_object('size', p_size, 'key_id', p_key_id), p_actor => p_actor);
	END IF;
	RETURN QUERY SELECT v_plugin, v_release, created;
END
$$;

CREATE FUNCTION trust_add(p_key_id text, p_public_key bytea, p_name text, p_namespaces text[], p_roles text[], p_development boolean,
	p_expires_at timestamptz) RETURNS trust_keys
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	key trust_keys;
BEGIN
	IF p_key_id IS DISTINCT FROM 'ed25519:' || encode(sha256(p_public_key), 'hex') THEN
		RAISE EXCEPTION 'key_id ''%'' is not that of the public key', p_key_id USING ERRCODE = '22023';
	ELSIF coalesce(p_name, '') = '' THEN
		RAISE EXCEPTION 'a key needs a name' USING ERRCODE = '22023';
	ELSIF NOT trust_namespaces_valid(p_namespaces) THEN
		RAISE EXCEPTION 'namespaces are 1 to 64 of publisher, publisher/plugin or *, not ''%''',
			coalesce((SELECT n FROM unnest(p_namespaces) n WHERE NOT trust_namespace_valid(n) LIMIT 1), '') USING ERRCODE = '22023';
	ELSIF NOT coalesce(p_roles, '{}') <@ ARRAY['in-process'] THEN
		RAISE EXCEPTION 'the only role is in-process' USING ERRCODE = '22023';
	END IF;
	SELECT * INTO key FROM trust_keys WHERE key_id = p_key_id;
	IF key.key_id IS NOT NULL THEN
		IF (key.name, key.namespaces, key.roles, key.development, key.expires_at, key.state)
			IS DISTINCT FROM (p_name::varchar, p_namespaces, coalesce(p_roles, '{}'), coalesce(p_development, false), p_expires_at, 'active'::varchar) THEN
			RAISE EXCEPTION 'key ''%'' is known as ''%'', %', p_key_id, key.name, key.state
				USING ERRCODE = 'MC003', HINT = 'A revoked key stays revoked; to change what a key may sign, revoke it and publish with a new one.';
		END IF;
		RETURN key;
	END IF;
	INSERT INTO trust_keys(key_id, public_key, name, namespaces, roles, development, expires_at, added_by)
	VALUES (p_key_id, p_public_key, p_name, p_namespaces, coalesce(p_roles, '{}'), coalesce(p_development, false), p_expires_at, app_user_id())
	RETURNING * INTO key;
	PERFORM audit_write('trust.add', 'trust_key', p_key_id, p_name, p_new => to_jsonb(key) - 'public_key');
	RETURN key;
END
$$;

CREATE FUNCTION trust_revoke(p_key_id text, p_reason text) RETURNS trust_keys
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	key trust_keys;
BEGIN
	UPDATE trust_keys SET state = 'revoked', reason = p_reason, revoked_at = now()
	WHERE key_id = p_key_id AND state = 'active' RETURNING * INTO key;
	IF key.key_id IS NOT NULL THEN
		PERFORM audit_write('trust.revoke', 'trust_key', p_key_id, key.name, p_new => jsonb_build_object('reason', p_reason));
		RETURN key;
	END IF;
	SELECT * INTO key FROM trust_keys WHERE key_id = p_key_id;
	IF key.key_id IS NULL THEN
		RAISE EXCEPTION 'key ''%'' is unknown', p_key_id USING ERRCODE = 'P0002';
	ELSIF key.state = 'active' THEN
		RAISE EXCEPTION 'only an administrator may revoke a key' USING ERRCODE = '42501';
	END IF;
	RETURN key;
END
$$;

-- A key that counted when a package came may have ended since: no new start on its word alone. One good signature or a pin is enough.
CREATE FUNCTION package_trust_check(p_digest text, p_environment text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	key trust_keys;
BEGIN
	SELECT k.* INTO key FROM plugin_signatures s JOIN trust_keys k ON k.key_id = s.key_id WHERE s.digest = p_digest
	ORDER BY k.state = 'active' AND coalesce(k.expires_at > now(), true) AND (NOT k.development OR p_environment = 'development') DESC, k.key_id LIMIT 1;
	IF key.key_id IS NULL OR EXISTS (SELECT 1 FROM trust_pins WHERE digest = p_digest AND expires_at > now()) THEN
		RETURN;
	ELSIF key.state = 'revoked' THEN
		RAISE EXCEPTION 'key ''%'' (%) that signed the package is revoked', key.name, key.key_id USING ERRCODE = 'MP003';
	ELSIF key.expires_at <= now() THEN
		RAISE EXCEPTION 'key ''%'' (%) that signed the package has expired', key.name, key.key_id USING ERRCODE = 'MP004';
	ELSIF key.development AND p_environment <> 'development' THEN
		RAISE EXCEPTION 'key ''%'' (%) that signed the package is a development key and this is environment ''%''', key.name, key.key_id, p_environment
			USING ERRCODE = 'MP005';
	END IF;
END
$$;
