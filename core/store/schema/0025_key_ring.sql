-- Envelopes at work: which master key seals, what a rotation seals anew, secrets of plugins.
--
-- The keys themselves are in no table. The file of a node's key ring holds them (core/supervise/key_ring.h); rows name them by id and fingerprint
-- and say which one seals, so that all nodes move to a new key by one commit. A key is 'coming' until every live node has it, 'current', 'old'
-- while envelopes may name it, 'retired' when none does: then the ring destroys it.
SET LOCAL search_path = public, pg_temp;

CREATE TABLE key_ring_keys (
	id varchar(32) PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]+$'),
	fingerprint varchar(64) NOT NULL UNIQUE CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
	state varchar(10) NOT NULL CHECK (state IN ('coming', 'current', 'old', 'retired')),
	made_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	current_at timestamptz,
	retired_at timestamptz
);
CREATE UNIQUE INDEX key_ring_keys_current ON key_ring_keys (state) WHERE state IN ('coming', 'current');

-- asked -> spreading (the new key is in a node's file, the others must have it too) -> sealing (it is current) -> done; asked -> failed.
CREATE TABLE key_ring_rotations (
	number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	state varchar(10) NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'spreading', 'sealing', 'done', 'failed')),
	from_key varchar(32) REFERENCES key_ring_keys,
	to_key varchar(32) REFERENCES key_ring_keys,
	actor_id varchar(30) REFERENCES users,
	reason varchar(255),
	waits_for text NOT NULL DEFAULT '',
	resealed bigint NOT NULL DEFAULT 0,
	total bigint NOT NULL DEFAULT 0,
	unreadable text[] NOT NULL DEFAULT '{}',
	error text,
	node_id varchar(64) REFERENCES nodes ON DELETE SET NULL,
	claimed_until timestamptz,
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	finished_at timestamptz
);
CREATE UNIQUE INDEX key_ring_rotations_one ON key_ring_rotations ((true)) WHERE state NOT IN ('done', 'failed');

-- What each node's ring can use, as the node said when it last looked.
CREATE TABLE key_ring_nodes (
	node_id varchar(64) PRIMARY KEY REFERENCES nodes ON DELETE CASCADE,
	keys varchar(32)[] NOT NULL,
	used varchar(32) NOT NULL,
	seen_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- What is told of a plugin's secrets. The envelopes stand in plugin_installations.secrets.
CREATE TABLE plugin_secrets (
	installation_id varchar(30) NOT NULL REFERENCES plugin_installations ON DELETE CASCADE,
	name varchar(64) NOT NULL CHECK (name ~ '^[A-Za-z][A-Za-z0-9._-]*$'),
	set_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	set_by varchar(30) REFERENCES users,
	read_at timestamptz,
	PRIMARY KEY (installation_id, name)
);

-- How each column that data_classification wants encrypted is: a one-way hash or an envelope where its checks permit one; else the storage is to
-- be (disk, backups), and note says why. A test holds the two tables together, and the values against what is said here.
CREATE TABLE encryption_means (
	table_name varchar(255) NOT NULL,
	column_name varchar(255) NOT NULL,
	means varchar(10) NOT NULL CHECK (means IN ('hash', 'envelope', 'storage')),
	note text NOT NULL,
	PRIMARY KEY (table_name, column_name)
);
INSERT INTO encryption_means(table_name, column_name, means, note) VALUES
	('users', 'email', 'storage', 'logins, searches and a unique index need it as it is'),
	('users', 'password', 'hash', 'bcrypt'),
	('users', 'mfa_secret', 'envelope', 'key ring'),
	('users', 'mfa_backup_codes', 'hash', 'HMAC-SHA-256 under the key ring'),
	('sessions', 'token', 'hash', 'SHA-256 of 256 random bits'),
	('sessions', 'refresh_token', 'hash', 'SHA-256 of 256 random bits'),
	('session_tokens_spent', 'hash', 'hash', 'SHA-256 of 256 random bits'),
	('api_keys', 'key_hash', 'hash', 'SHA-256 of 256 random bits'),
	('second_factor_enrolments', 'secret', 'envelope', 'key ring'),
	('second_factor_messages', 'code_digest', 'hash', 'HMAC-SHA-256 under the key ring'),
	('plugin_installations', 'secrets', 'envelope', 'key ring, each member'),
	('audit_logs', '*', 'storage', 'searched by every column; personal values in it are envelopes under a key of their person');
INSERT INTO data_classification(table_name, column_name, classification) VALUES ('encryption_means', '*', 'internal') ON CONFLICT DO NOTHING;

CREATE FUNCTION forget_plugin_secrets() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	DELETE FROM plugin_secrets WHERE installation_id = NEW.id AND NOT NEW.secrets ? name;
	RETURN NULL;
END
$$;
CREATE TRIGGER plugin_secrets_gone AFTER UPDATE OF secrets ON plugin_installations
	FOR EACH ROW EXECUTE FUNCTION forget_plugin_secrets();

CREATE FUNCTION json_time(at timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- ---- envelopes ----

-- Every envelope of the ring's keys: where it stands, and the context that it is sealed with. What holds envelopes is added here, to
-- envelopes_stale(), to envelopes_replace() and to check_envelope_keys(); a test looks for any that stand elsewhere.
CREATE FUNCTION envelopes() RETURNS TABLE (place text, context text, key_id text, envelope text)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT 'users.mfa_secret:' || u.id, 'users.mfa_secret:' || u.id, split_part(u.mfa_secret, ':', 3), u.mfa_secret
		FROM users u WHERE u.mfa_secret IS NOT NULL;
	RETURN QUERY SELECT 'second_factor_enrolments.secret:' || e.user_id, 'users.mfa_secret:' || e.user_id, split_part(e.secret, ':', 3), e.secret
		FROM second_factor_enrolments e WHERE e.secret IS NOT NULL;
	RETURN QUERY SELECT 'plugin_installations.secrets:' || i.id || ':' || s.key, 'plugin_installations.secrets:' || i.id || ':' || s.key,
			split_part(s.value, ':', 3), s.value
		FROM plugin_installations i, jsonb_each_text(i.secrets) s WHERE i.secrets <> '{}';
END
$$;

-- Those that name another key than the current one, behind a place, in the order of places.
CREATE FUNCTION envelopes_stale(p_current text, p_after text, p_limit integer) RETURNS TABLE (place text, context text, envelope text)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	-- These are few; "users" comes behind them.
	RETURN QUERY SELECT e.place COLLATE "C", e.context, e.envelope FROM (
		SELECT 'plugin_installations.secrets:' || i.id || ':' || s.key AS place, 'plugin_installations.secrets:' || i.id || ':' || s.key AS context,
			s.value AS envelope
		FROM plugin_installations i, jsonb_each_text(i.secrets) s WHERE i.secrets <> '{}'
		UNION ALL
		SELECT 'second_factor_enrolments.secret:' || n.user_id, 'users.mfa_secret:' || n.user_id, n.secret
		FROM second_factor_enrolments n WHERE n.secret IS NOT NULL) e
	WHERE split_part(e.envelope, ':', 3) <> p_current AND e.place > p_after COLLATE "C"
	ORDER BY 1 LIMIT p_limit;
	IF NOT FOUND THEN
		-- By the primary key, so that each batch reads on where the last one ended.
		RETURN QUERY SELECT 'users.mfa_secret:' || u.id, 'users.mfa_secret:' || u.id, u.mfa_secret FROM users u
		WHERE u.mfa_secret IS NOT NULL AND split_part(u.mfa_secret, ':', 3) <> p_current
			AND u.id > CASE WHEN p_after LIKE 'users.mfa\_secret:%' THEN split_part(p_after, ':', 2) ELSE '' END
		ORDER BY u.id LIMIT p_limit;
	END IF;
END
$$;

-- Each where it still stands as it was read: what somebody changed meanwhile is left alone. How many were replaced.
CREATE FUNCTION envelopes_replace(p_places text[], p_old text[], p_new text[]) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	e record;
	done integer := 0;
	n integer;
BEGIN
	UPDATE users u SET mfa_secret = r.new
	FROM unnest(p_places, p_old, p_new) r(place, old, new)
	WHERE r.place LIKE 'users.mfa\_secret:%' AND u.id = split_part(r.place, ':', 2) AND u.mfa_secret = r.old;
	GET DIAGNOSTICS done = ROW_COUNT;
	UPDATE second_factor_enrolments u SET secret = r.new
	FROM unnest(p_places, p_old, p_new) r(place, old, new)
	WHERE r.place LIKE 'second\_factor\_enrolments.secret:%' AND u.user_id = split_part(r.place, ':', 2) AND u.secret = r.old;
	GET DIAGNOSTICS n = ROW_COUNT;
	done := done + n;
	-- One by one: several may stand in one row.
	FOR e IN SELECT split_part(r.place, ':', 2) AS id, split_part(r.place, ':', 3) AS name, r.old, r.new
		FROM unnest(p_places, p_old, p_new) r(place, old, new)
		WHERE r.place LIKE 'plugin\_installations.secrets:%'
	LOOP
		UPDATE plugin_installations i SET secrets = i.secrets || jsonb_build_object(e.name, e.new)
		WHERE i.id = e.id AND i.secrets ->> e.name = e.old;
		GET DIAGNOSTICS n = ROW_COUNT;
		done := done + n;
	END LOOP;
	RETURN done;
END
$$;

-- No front and no supervisor writes an envelope that names a key which is not in use: it could be that of a node with the wrong ring, or one
-- sealed so long ago that its key has been retired meanwhile. The lock makes retiring wait for whoever is writing. A repair by the owner,
-- who seals with app.encryption_key, is his own to answer for.
CREATE FUNCTION envelope_key_check(p_envelope text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM FROM key_ring_keys WHERE id = split_part(p_envelope, ':', 3) AND state IN ('current', 'old') FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the envelope names key ''%'', which is not in use', left(split_part(p_envelope, ':', 3), 32)
			USING ERRCODE = 'MS001', HINT = 'Try again; if that does not help, this node has another key ring than the rest.';
	END IF;
END
$$;

CREATE FUNCTION check_envelope_keys() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF session_user NOT IN ('mortise_front', 'mortise_supervisor') THEN
		RETURN NEW;
	END IF;
	IF TG_TABLE_NAME = 'plugin_installations' THEN
		PERFORM envelope_key_check(s.value) FROM jsonb_each_text(NEW.secrets) s
		WHERE TG_OP = 'INSERT' OR OLD.secrets ->> s.key IS DISTINCT FROM s.value;
	ELSIF TG_TABLE_NAME = 'second_factor_enrolments' THEN
		PERFORM envelope_key_check(NEW.secret) WHERE NEW.secret IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.secret IS DISTINCT FROM OLD.secret);
	ELSE
		PERFORM envelope_key_check(NEW.mfa_secret)
		WHERE NEW.mfa_secret IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.mfa_secret IS DISTINCT FROM OLD.mfa_secret);
	END IF;
	RETURN NEW;
END
$$;
-- Behind encrypt_mfa_trigger, in the order of names.
CREATE TRIGGER envelope_keys BEFORE INSERT OR UPDATE OF mfa_secret ON users
	FOR EACH ROW EXECUTE FUNCTION check_envelope_keys();
CREATE TRIGGER envelope_keys BEFORE INSERT OR UPDATE OF secrets ON plugin_installations
	FOR EACH ROW EXECUTE FUNCTION check_envelope_keys();

-- ---- a node and its ring ----

-- Before a node starts, as the owner: is p_keys ([{"id","fingerprint","retired"}], oldest first) the ring of this database? The first ring
-- becomes it. The id of the key that seals.
CREATE FUNCTION key_ring_settle(p_keys jsonb) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	lacking key_ring_keys;
BEGIN
	LOCK TABLE key_ring_keys IN SHARE ROW EXCLUSIVE MODE;
	IF NOT EXISTS (SELECT FROM key_ring_keys) THEN
		INSERT INTO key_ring_keys(id, fingerprint, state, current_at)
		SELECT k ->> 'id', k ->> 'fingerprint', 'current', now()
		FROM jsonb_array_elements(p_keys) WITH ORDINALITY a(k, n) WHERE NOT (k ->> 'retired')::boolean
		ORDER BY n DESC LIMIT 1;
	END IF;
	SELECT * INTO lacking FROM key_ring_keys r
	WHERE r.state IN ('current', 'old') AND NOT EXISTS (SELECT FROM jsonb_array_elements(p_keys) k
		WHERE k ->> 'id' = r.id AND k ->> 'fingerprint' = r.fingerprint AND NOT (k ->> 'retired')::boolean)
	ORDER BY r.state LIMIT 1;
	IF lacking.id IS NOT NULL THEN
		RAISE EXCEPTION 'the key ring lacks key ''%'', with which secrets of this database are sealed', lacking.id
			USING ERRCODE = 'MS004', HINT = 'Copy the key ring of a node that runs.';
	END IF;
	RETURN (SELECT id FROM key_ring_keys WHERE state = 'current');
END
$$;

-- A node says what its ring can use, and hears how the keys stand.
CREATE FUNCTION key_ring_look(p_node text, p_token bigint, p_keys text[], p_used text)
	RETURNS TABLE (id varchar, fingerprint varchar, state varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM node_check(p_node, p_token);
	INSERT INTO key_ring_nodes AS n (node_id, keys, used) VALUES (p_node, p_keys, p_used)
	ON CONFLICT (node_id) DO UPDATE SET keys = EXCLUDED.keys, used = EXCLUDED.used, seen_at = now();
	-- Whoever waits for this node's new key hears of it.
	IF EXISTS (SELECT FROM key_ring_rotations r WHERE r.state IN ('spreading', 'sealing') AND r.node_id <> p_node AND r.waits_for <> '') THEN
		PERFORM pg_notify('mortise_key_ring', '');
	END IF;
	RETURN QUERY SELECT k.id, k.fingerprint, k.state FROM key_ring_keys k ORDER BY k.made_at, k.id;
END
$$;

-- ---- rotation: one node does the work, under a claim that lapses with it ----

CREATE FUNCTION key_ring_claim(p_node text, p_token bigint, p_ttl interval) RETURNS SETOF key_ring_rotations
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM node_check(p_node, p_token);
	RETURN QUERY UPDATE key_ring_rotations r SET node_id = p_node, claimed_until = clock_timestamp() + p_ttl
	WHERE r.state NOT IN ('done', 'failed')
		AND (r.node_id IS NULL OR r.node_id = p_node OR r.claimed_until < clock_timestamp())
	RETURNING *;
END
$$;

-- The rotation, locked, if this node has it.
CREATE FUNCTION key_ring_held(p_node text, p_token bigint, p_number bigint) RETURNS key_ring_rotations
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	rotation key_ring_rotations;
BEGIN
	PERFORM node_check(p_node, p_token);
	SELECT * INTO rotation FROM key_ring_rotations WHERE number = p_number FOR UPDATE;
	IF rotation.node_id IS DISTINCT FROM p_node OR rotation.state IN ('done', 'failed') THEN
		RAISE EXCEPTION 'rotation % is not this node''s', p_number USING ERRCODE = 'MF001';
	END IF;
	RETURN rotation;
END
$$;

-- The new key is in this node's file.
CREATE FUNCTION key_ring_coming(p_node text, p_token bigint, p_number bigint, p_id text, p_fingerprint text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	rotation key_ring_rotations := key_ring_held(p_node, p_token, p_number);
BEGIN
	INSERT INTO key_ring_keys(id, fingerprint, state) VALUES (p_id, p_fingerprint, 'coming');
	UPDATE key_ring_rotations SET state = 'spreading', to_key = p_id, from_key = (SELECT id FROM key_ring_keys WHERE state = 'current')
	WHERE number = rotation.number;
	PERFORM pg_notify('mortise_key_ring', '');
END
$$;

-- The new key could not be made: nothing has happened.
CREATE FUNCTION key_ring_fail(p_node text, p_token bigint, p_number bigint, p_error text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	rotation key_ring_rotations := key_ring_held(p_node, p_token, p_number);
BEGIN
	UPDATE key_ring_rotations SET state = 'failed', error = left(p_error, 1000), finished_at = now()
	WHERE number = rotation.number AND state = 'asked';
	PERFORM audit_write('key_ring.rotate', 'key_ring', p_number::text, NULL, NULL, NULL, 'failure', left(p_error, 1000), '{}', rotation.actor_id);
END
$$;

-- While spreading: make the key current once every live node has it. Then: does every live node seal with it? The nodes that are waited for,
-- '' for none. What a node that is down seals with is settled when it starts.
CREATE FUNCTION key_ring_spread(p_node text, p_token bigint, p_number bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	rotation key_ring_rotations := key_ring_held(p_node, p_token, p_number);
	lacking text;
BEGIN
	SELECT coalesce(string_agg(n.id, ', ' ORDER BY n.id), '') INTO lacking
	FROM nodes n LEFT JOIN key_ring_nodes k ON k.node_id = n.id AND k.seen_at >= n.taken_at
	WHERE n.lease_until > clock_timestamp()
		AND NOT coalesce(CASE rotation.state WHEN 'spreading' THEN rotation.to_key = ANY (k.keys) ELSE k.used = rotation.to_key END, false);
	IF lacking = '' AND rotation.state = 'spreading' THEN
		UPDATE key_ring_keys SET state = 'old' WHERE state = 'current';
		UPDATE key_ring_keys SET state = 'current', current_at = now() WHERE id = rotation.to_key;
		UPDATE key_ring_rotations SET state = 'sealing', waits_for = '',
			total = (SELECT count(*) FROM envelopes() WHERE key_id <> rotation.to_key) WHERE number = p_number;
		PERFORM audit_write('key_ring.switch', 'key_ring', rotation.to_key, NULL, jsonb_build_object('key', rotation.from_key),
			jsonb_build_object('key', rotation.to_key), 'success', NULL, '{}', rotation.actor_id);
		PERFORM pg_notify('mortise_key_ring', '');
		RETURN p_node; -- which has to hear of it like the others
	END IF;
	UPDATE key_ring_rotations SET waits_for = lacking WHERE number = p_number AND waits_for <> lacking;
	RETURN lacking;
END
$$;

CREATE FUNCTION key_ring_stale(p_number bigint, p_after text, p_limit integer) RETURNS TABLE (place text, context text, envelope text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
	SELECT s.place, s.context, s.envelope FROM key_ring_rotations r, envelopes_stale(r.to_key, p_after, p_limit) s WHERE r.number = p_number
$$;

CREATE FUNCTION key_ring_reseal(p_node text, p_token bigint, p_number bigint, p_ttl interval, p_places text[], p_old text[], p_new text[])
	RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	rotation key_ring_rotations := key_ring_held(p_node, p_token, p_number);
	done integer := envelopes_replace(p_places, p_old, p_new);
BEGIN
	UPDATE key_ring_rotations SET resealed = resealed + done, total = greatest(total, resealed + done),
		claimed_until = clock_timestamp() + p_ttl WHERE number = rotation.number;
	PERFORM audit_write('key_ring.reseal', 'key_ring', rotation.to_key, NULL, NULL, NULL, 'success', NULL,
		jsonb_build_object('rotation', p_number, 'envelopes', done), rotation.actor_id);
	RETURN done;
END
$$;

-- The end, if nothing but what does not open is left to seal. False: look through all of it again.
CREATE FUNCTION key_ring_finish(p_node text, p_token bigint, p_number bigint, p_unreadable text[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	rotation key_ring_rotations := key_ring_held(p_node, p_token, p_number);
BEGIN
	IF EXISTS (SELECT FROM envelopes() e WHERE e.key_id <> rotation.to_key AND e.place <> ALL (p_unreadable)) THEN
		RETURN false;
	END IF;
	UPDATE key_ring_rotations SET state = 'done', unreadable = p_unreadable, finished_at = now() WHERE number = p_number;
	PERFORM audit_write('key_ring.rotate', 'key_ring', p_number::text, NULL, jsonb_build_object('key', rotation.from_key),
		jsonb_build_object('key', rotation.to_key), CASE cardinality(p_unreadable) WHEN 0 THEN 'success' ELSE 'failure' END, NULL,
		jsonb_build_object('resealed', rotation.resealed, 'unreadable', to_jsonb(p_unreadable)), rotation.actor_id);
	PERFORM pg_notify('mortise_key_ring', '');
	RETURN true;
END
$$;

-- ---- what administrators ask ----

CREATE FUNCTION key_ring_admin() RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF NOT app_is_admin() OR app_plugin() <> '' THEN
		RAISE EXCEPTION 'only an ADMIN may change the key ring' USING ERRCODE = '42501';
	END IF;
	IF EXISTS (SELECT FROM key_ring_rotations WHERE state NOT IN ('done', 'failed')) THEN
		RAISE EXCEPTION 'rotation % of the key ring is running', (SELECT number FROM key_ring_rotations WHERE state NOT IN ('done', 'failed'))
			USING ERRCODE = 'MS002';
	END IF;
END
$$;

CREATE FUNCTION key_ring_rotate(p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	number bigint;
BEGIN
	LOCK TABLE key_ring_rotations IN SHARE ROW EXCLUSIVE MODE;
	PERFORM key_ring_admin();
	INSERT INTO key_ring_rotations AS r (actor_id, reason) VALUES (app_user_id(), left(p_reason, 255)) RETURNING r.number INTO number;
	PERFORM audit_write('key_ring.rotate', 'key_ring', number::text, NULL, NULL, jsonb_build_object('state', 'asked'), 'success', NULL,
		jsonb_build_object('reason', p_reason));
	PERFORM pg_notify('mortise_key_ring', '');
	RETURN number;
END
$$;

-- The key is of no more use from here on; the nodes then destroy it.
CREATE FUNCTION key_ring_retire(p_id text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	key key_ring_keys;
	left_over text;
BEGIN
	PERFORM key_ring_admin();
	SELECT * INTO key FROM key_ring_keys WHERE id = p_id FOR UPDATE;
	IF key.id IS NULL THEN
		RAISE EXCEPTION 'the key ring has no key ''%''', left(p_id, 32)
			USING ERRCODE = 'P0002', HINT = '''mortise key-ring list'' shows which there are.';
	ELSIF key.state = 'retired' THEN
		RAISE EXCEPTION 'key ''%'' is retired', p_id USING ERRCODE = 'MC003';
	ELSIF key.state <> 'old' THEN
		RAISE EXCEPTION 'key ''%'' seals what is written now', p_id USING ERRCODE = 'MS003', HINT = 'Rotate the key ring first.';
	END IF;
	SELECT string_agg(e.place, ', ') INTO left_over FROM (SELECT place FROM envelopes() WHERE key_id = p_id ORDER BY 1 LIMIT 5) e;
	IF left_over IS NOT NULL THEN
		RAISE EXCEPTION 'key ''%'' is still named by % envelopes: %', p_id, (SELECT count(*) FROM envelopes() WHERE key_id = p_id), left_over
			USING ERRCODE = 'MS003', HINT = 'Rotate the key ring; set again, or remove, what does not open.';
	END IF;
	UPDATE key_ring_keys SET state = 'retired', retired_at = now() WHERE id = p_id;
	PERFORM audit_write('key_ring.retire', 'key_ring', p_id, NULL, jsonb_build_object('state', 'old'), jsonb_build_object('state', 'retired'));
	PERFORM pg_notify('mortise_key_ring', '');
END
$$;

-- {"keys","nodes","rotation","columns"}: the last says of each column that data_classification wants encrypted how that is done.
CREATE FUNCTION key_ring_show() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF NOT app_is_elevated() THEN
		RAISE EXCEPTION 'only an ADMIN or PLATFORM_ENGINEER may see the key ring' USING ERRCODE = '42501';
	END IF;
	RETURN jsonb_build_object(
		'keys', (WITH named AS MATERIALIZED (SELECT e.key_id, count(*) AS envelopes FROM envelopes() e GROUP BY 1)
			SELECT coalesce(jsonb_agg(jsonb_build_object('id', k.id, 'fingerprint', k.fingerprint, 'state', k.state, 'made_at', json_time(k.made_at),
				'current_at', json_time(k.current_at), 'retired_at', json_time(k.retired_at),
				'envelopes', coalesce(n.envelopes, 0)) ORDER BY k.made_at, k.id), '[]')
			FROM key_ring_keys k LEFT JOIN named n ON n.key_id = k.id),
		'nodes', (SELECT coalesce(jsonb_agg(jsonb_build_object('node', n.id, 'keys', to_jsonb(k.keys), 'used', k.used, 'seen_at', json_time(k.seen_at))
				ORDER BY n.id), '[]') FROM nodes n JOIN key_ring_nodes k ON k.node_id = n.id WHERE n.lease_until > now()),
		'rotation', (SELECT jsonb_build_object('number', r.number, 'state', r.state, 'from', r.from_key, 'to', r.to_key, 'reason', r.reason,
				'actor', r.actor_id, 'node', r.node_id, 'waits_for', r.waits_for, 'resealed', r.resealed, 'total', r.total,
				'unreadable', to_jsonb(r.unreadable), 'error', r.error, 'created_at', json_time(r.created_at), 'finished_at', json_time(r.finished_at))
			FROM key_ring_rotations r ORDER BY r.number DESC LIMIT 1),
		'columns', (SELECT jsonb_agg(jsonb_build_object('table', c.table_name, 'column', c.column_name, 'means', m.means, 'note', m.note)
				ORDER BY m.means <> 'storage', c.table_name, c.column_name)
			FROM data_classification c LEFT JOIN encryption_means m USING (table_name, column_name) WHERE c.encryption_required));
END
$$;

-- ---- secrets of plugins ----

-- What the configuration's schema calls a secret stands in no change: refused before its value is in a row.
CREATE FUNCTION refuse_plain_secrets() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	name text;
BEGIN
	SELECT k INTO name
	FROM packages p, jsonb_object_keys(NEW.parameters -> 'config') k
	WHERE p.digest = coalesce(NEW.digest,
			(SELECT coalesce(i.wished_digest, i.installed_digest) FROM plugin_installations i WHERE i.id = NEW.installation_id))
		AND p.manifest #> ARRAY['config', 'schema', 'properties', k, 'x-secret'] = 'true'
	LIMIT 1;
	IF name IS NOT NULL THEN
		RAISE EXCEPTION '''%'' is a secret, which does not belong into the configuration', left(name, 64)
			USING ERRCODE = 'MS005', HINT = format('take it out and set it with ''mortise plugin secret set %s %s''', NEW.plugin_name, left(name, 64));
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER changes_hold_no_secret BEFORE INSERT ON changes
	FOR EACH ROW WHEN (jsonb_typeof(NEW.parameters -> 'config') = 'object') EXECUTE FUNCTION refuse_plain_secrets();

-- The installation, locked, if the asker may write its secrets.
CREATE FUNCTION secret_installation(p_installation text) RETURNS plugin_installations
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	installation plugin_installations;
BEGIN
	IF NOT app_is_elevated() OR app_plugin() <> '' THEN
		RAISE EXCEPTION 'only an ADMIN or PLATFORM_ENGINEER may write secrets' USING ERRCODE = '42501';
	END IF;
	SELECT * INTO installation FROM plugin_installations WHERE id = p_installation AND uninstalled_at IS NULL FOR UPDATE;
	IF installation.id IS NULL THEN
		RAISE EXCEPTION 'no such installation' USING ERRCODE = 'P0002';
	END IF;
	RETURN installation;
END
$$;

-- p_envelope is sealed for the place plugin_installations.secrets:<id>:<name>.
CREATE FUNCTION secret_put(p_installation text, p_name text, p_envelope text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	installation plugin_installations := secret_installation(p_installation);
BEGIN
	IF p_name !~ '^[A-Za-z][A-Za-z0-9._-]{0,63}$' THEN
		RAISE EXCEPTION 'a secret''s name is a letter, then up to 63 of A-Z a-z 0-9 . _ -' USING ERRCODE = '22023';
	END IF;
	IF p_envelope !~ '^enc:v1:[A-Za-z0-9_-]{1,32}:[A-Za-z0-9+/=]+$' THEN
		RAISE EXCEPTION 'not an enc:v1 envelope' USING ERRCODE = '22023';
	END IF;
	IF NOT installation.secrets ? p_name AND (SELECT count(*) FROM jsonb_object_keys(installation.secrets)) >= 64 THEN
		RAISE EXCEPTION 'a plugin has at most 64 secrets' USING ERRCODE = '22023';
	END IF;
	UPDATE plugin_installations SET secrets = secrets || jsonb_build_object(p_name, p_envelope) WHERE id = p_installation;
	INSERT INTO plugin_secrets(installation_id, name, set_by) VALUES (p_installation, p_name, app_user_id())
	ON CONFLICT (installation_id, name) DO UPDATE SET set_at = now(), set_by = EXCLUDED.set_by, read_at = NULL;
	PERFORM audit_write('secret.set', 'plugin_secret', p_installation || ':' || p_name, p_name, NULL,
		jsonb_build_object('key', split_part(p_envelope, ':', 3)));
END
$$;

CREATE FUNCTION secret_remove(p_installation text, p_name text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	installation plugin_installations := secret_installation(p_installation);
BEGIN
	IF NOT installation.secrets ? p_name THEN
		RETURN false;
	END IF;
	UPDATE plugin_installations SET secrets = secrets - p_name WHERE id = p_installation;
	PERFORM audit_write('secret.remove', 'plugin_secret', p_installation || ':' || p_name, p_name);
	RETURN true;
END
$$;

-- Names, and what is told of them; for whoever sees the installation.
CREATE FUNCTION secret_list(p_installation text) RETURNS TABLE (name text, key_id text, set_at timestamptz, set_by varchar, read_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF NOT app_is_known() OR app_plugin() <> '' THEN
		RAISE EXCEPTION 'only a user may list secrets' USING ERRCODE = '42501';
	END IF;
	RETURN QUERY SELECT s.key, split_part(s.value, ':', 3), p.set_at, p.set_by, p.read_at
	FROM plugin_installations i, jsonb_each_text(i.secrets) s LEFT JOIN plugin_secrets p ON p.installation_id = p_installation AND p.name = s.key
	WHERE i.id = p_installation AND i.uninstalled_at IS NULL ORDER BY 1;
END
$$;

-- The envelope of the asking plugin's own secret; no row: it has none of that name. A read is no reason to wait for the disk.
CREATE FUNCTION secret_get(p_name text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	envelope text := (SELECT i.secrets ->> p_name FROM plugin_installations i WHERE i.id = app_plugin() AND i.uninstalled_at IS NULL);
BEGIN
	IF envelope IS NOT NULL THEN
		PERFORM set_config('synchronous_commit', 'off', true);
		UPDATE plugin_secrets SET read_at = now() WHERE installation_id = app_plugin() AND name = p_name
			AND (read_at IS NULL OR read_at < now() - interval '1 minute');
		PERFORM audit_write('secret.read', 'plugin_secret', app_plugin() || ':' || p_name, p_name);
		RETURN NEXT envelope;
	END IF;
END
$$;

-- An envelope of the asking plugin did not open: somebody moved or changed it, or its key is lost.
CREATE FUNCTION secret_unreadable(p_name text, p_error text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF EXISTS (SELECT FROM plugin_installations WHERE id = app_plugin() AND secrets ? p_name) THEN
		PERFORM audit_write('secret.read', 'plugin_secret', app_plugin() || ':' || p_name, p_name, NULL, NULL, 'failure', left(p_error, 1000));
	END IF;
END
$$;
