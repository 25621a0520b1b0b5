-- Privacy requests: what people may ask about what is kept of them, and what is done then (access, portability, deletion, rectification,
-- restriction). A person asks for himself; an administrator may ask for anybody, and handles.
--
-- Which rows speak of a person, the catalog says: its foreign keys to users, so a new table cannot be forgotten. ON DELETE CASCADE marks rows
-- that are the person's own (sessions, keys, second factors): erasure removes them. Every other row is kept for work, law or audit, with an id
-- that is nobody's name any more, and its personal columns (data_classification) are emptied. Audit rows cannot change: the key of their
-- personal values is destroyed. What plugins and tenants store is opaque to the host and is not searched; archives say so.
--
-- Threats: an archive is the best thing to steal, so only the person and administrators fetch it, each fetch is audited, nothing restricted
-- (hashes, secrets) is in it, and no front may read the tables; it tells of others (rows in which he only acted, what administrators did to
-- him: subject, privacy_open) nothing but ids. Somebody erases another: that takes the role ADMIN and a scope of its own (access.users), and
-- the last administrator and last owners stay. Erasure is undone by leftovers: the test looks for each word of a person in a dump.
--
-- Refusals: 42501 not the asker's to do, P0002 unknown, 22023 no such value, MC003 asked already, MC005 not in this state.
SET LOCAL search_path = public, pg_temp;

ALTER TABLE data_privacy_records ADD details jsonb NOT NULL DEFAULT '{}'; -- what was asked: {"reason","changes"}
CREATE UNIQUE INDEX privacy_one_open ON data_privacy_records (user_id, request_type) WHERE status IN ('pending', 'in_progress');
INSERT INTO data_classification(table_name, column_name, classification, contains_pii, contains_phi, encryption_required, retention_days) VALUES
	('data_privacy_records', 'details', 'confidential', true, false, false, 2555);

-- own: the row goes with the person. subject: it speaks of him whom this column names; the other columns name those who did something.
CREATE VIEW user_references AS
	SELECT c.relname::text AS table_name, a.attname::text AS column_name, f.confdeltype = 'c' AS own,
		a.attname = 'user_id' OR NOT bool_or(a.attname = 'user_id') OVER (PARTITION BY c.oid) AS subject
	FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid AND NOT c.relispartition
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1]
	WHERE f.contype = 'f' AND f.confrelid = 'users'::regclass AND f.conparentid = 0
		AND NOT EXISTS (SELECT 1 FROM audit_archives d WHERE d.name = c.relname); -- detached months are read as audit_logs

-- Personal columns of a table, or the restricted ones; a column without a row of its own has that of its table.
CREATE FUNCTION privacy_columns(p_table text, p_restricted boolean) RETURNS text[]
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a
	CROSS JOIN LATERAL (SELECT * FROM data_classification c WHERE c.table_name = p_table AND c.column_name IN (a.attname, '*')
		ORDER BY c.column_name = '*' LIMIT 1) c
	WHERE a.attrelid = to_regclass(quote_ident(p_table)) AND a.attnum > 0 AND NOT a.attisdropped
		AND CASE WHEN p_restricted THEN c.classification = 'restricted' ELSE c.contains_pii END
$$;

-- ---- asking --------------------------------------------------------------------------------------------------------------------------

CREATE TYPE privacy_facts AS (id varchar, user_id varchar, user_name varchar, type privacy_request_type, status request_status, details jsonb,
	result jsonb, requested_by varchar, requested_at timestamptz, due_at timestamptz, processed_by varchar, processed_at timestamptz, position text);

CREATE FUNCTION privacy_position(p_at timestamptz, p_id text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(trunc(extract(epoch FROM p_at) * 1000000)::text, 20, '0') || ' ' || p_id $$;

CREATE FUNCTION privacy_facts_of(r data_privacy_records) RETURNS privacy_facts
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT (r.id, r.user_id, (SELECT name FROM users WHERE id = r.user_id), r.request_type, r.status, r.details, r.result, r.requested_by,
		r.requested_at, r.requested_at + interval '30 days', r.processed_by, r.processed_at, privacy_position(r.requested_at, r.id))::privacy_facts
$$;

-- A request that the asker may see: his own, or any for an administrator. p_lock: nobody else decides about it meanwhile.
CREATE FUNCTION privacy_find(p_id text, p_lock boolean) RETURNS data_privacy_records
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	r data_privacy_records;
BEGIN
	IF p_lock THEN
		PERFORM 1 FROM data_privacy_records WHERE id = p_id FOR UPDATE;
	END IF;
	SELECT * INTO r FROM data_privacy_records WHERE id = p_id;
	IF r.id IS NULL OR app_plugin() <> '' OR NOT app_is_known() OR NOT (r.user_id = app_user_id() OR app_is_admin()) THEN
		RAISE EXCEPTION 'there is no privacy request ''%''', p_id USING ERRCODE = 'P0002', HINT = '''mortise privacy list'' shows those there are.';
	END IF;
	RETURN r;
END
$$;

CREATE FUNCTION privacy_get(p_id text) RETURNS SETOF privacy_facts
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN NEXT privacy_facts_of(privacy_find(p_id, false));
END
$$;

-- Newest first.
CREATE FUNCTION privacy_list(p_after text, p_limit integer, p_status request_status, p_type privacy_request_type, p_user text) RETURNS SETOF privacy_facts
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	admin constant boolean := app_is_admin();
BEGIN
	IF app_plugin() <> '' OR NOT app_is_known() THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT f.* FROM data_privacy_records r, LATERAL privacy_facts_of(r) f
	WHERE (admin OR r.user_id = app_user_id()) AND (p_status IS NULL OR r.status = p_status) AND (p_type IS NULL OR r.request_type = p_type)
		AND (p_user IS NULL OR r.user_id = p_user OR r.user_id = (SELECT u.id FROM users u WHERE lower(u.username) = lower(p_user) AND u.deleted_at IS NULL))
		AND (p_after IS NULL OR privacy_position(r.requested_at, r.id) < p_after)
	ORDER BY r.requested_at DESC, r.id DESC LIMIT p_limit;
END
$$;

-- p_user NULL: the asker himself. Administrators name those who were deleted, too, by id. p_details: {"reason","changes"}.
CREATE FUNCTION privacy_request(p_user text, p_type privacy_request_type, p_details jsonb) RETURNS SETOF privacy_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	me constant varchar := app_user_id();
	u users;
	r data_privacy_records;
BEGIN
	IF app_plugin() <> '' OR NOT app_is_known() THEN
		RAISE EXCEPTION 'a person asks' USING ERRCODE = '42501';
	END IF;
	SELECT * INTO u FROM users WHERE id = coalesce(p_user, me) AND (deleted_at IS NULL OR app_is_admin());
	IF u.id IS NULL THEN
		u := user_find(p_user);
	END IF;
	IF u.id <> me AND NOT app_is_admin() THEN
		RAISE EXCEPTION 'one asks about oneself; about others takes the role ADMIN' USING ERRCODE = '42501';
	ELSIF u.provider IN ('plugin', 'team') THEN
		RAISE EXCEPTION '''%'' is the account of a %, and no person', u.name, u.provider USING ERRCODE = '22023';
	ELSIF (p_type = 'rectification') <> (coalesce(p_details->'changes', '{}') <> '{}') THEN
		RAISE EXCEPTION 'a rectification names the members that change, and nothing else does' USING ERRCODE = '22023';
	END IF;
	INSERT INTO data_privacy_records(user_id, request_type, status, requested_by, details)
	VALUES (u.id, p_type, 'pending', me, p_details) RETURNING * INTO r;
	PERFORM audit_write('privacy.request', 'data_privacy_record', r.id, NULL,
		p_new => jsonb_build_object('user_id', u.id, 'request_type', p_type, 'details', p_details));
	RETURN NEXT privacy_facts_of(r);
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION 'the same was asked and is not decided yet' USING ERRCODE = 'MC003', HINT = '''mortise privacy list'' shows it.';
END
$$;

-- ---- the archive ---------------------------------------------------------------------------------------------------------------------

-- Whose archive a request is for; refused unless it was granted.
CREATE FUNCTION privacy_archive_of(p_id text) RETURNS varchar
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	r data_privacy_records := privacy_find(p_id, false);
BEGIN
	IF r.request_type NOT IN ('access', 'portability') OR r.status <> 'completed' THEN
		RAISE EXCEPTION 'request ''%'' (%, %) has no archive', r.id, r.request_type, r.status
			USING ERRCODE = 'MC005', HINT = 'An access or portability request has one once an administrator has completed it.';
	END IF;
	RETURN r.user_id;
END
$$;

-- The tables of an archive, in order, and its head. Who fetches it is audited here.
CREATE FUNCTION privacy_archive(p_id text) RETURNS TABLE (table_name text, about jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
	v_user constant varchar := privacy_archive_of(p_id);
	v_about jsonb;
BEGIN
	SELECT jsonb_build_object('request', p_id, 'user_id', v_user, 'made_at', now(),
		'retention_days', (SELECT jsonb_object_agg(x.t, x.days) FROM (SELECT c.table_name AS t, max(c.retention_days) AS days
			FROM data_classification c WHERE c.retention_days IS NOT NULL AND (c.table_name = 'users' OR c.table_name IN (SELECT v.table_name FROM user_references v))
			GROUP BY 1) x),
		'not_searched', (SELECT jsonb_agg(DISTINCT c.table_name) FROM data_classification c WHERE c.contains_pii AND c.table_name <> 'users'
			AND c.table_name NOT IN (SELECT v.table_name FROM user_references v)),
		'withheld', (SELECT jsonb_agg(x.t || '.' || c ORDER BY x.t, c) FROM (SELECT 'users' AS t UNION SELECT v.table_name FROM user_references v) x,
			unnest(privacy_columns(x.t, true)) c))
	INTO v_about;
	PERFORM audit_write('privacy.fetch', 'data_privacy_record', p_id, NULL, p_new => jsonb_build_object('user_id', v_user));
	RETURN QUERY SELECT 'users', v_about UNION ALL SELECT t.t, NULL FROM (SELECT DISTINCT v.table_name AS t FROM user_references v ORDER BY 1) t;
END
$$;

-- A value of an audit row, readable if it is of this person. p_key: the id of his key.
CREATE FUNCTION privacy_open(p_key text, p_place text, p_value text) RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT CASE WHEN p_value LIKE 'enc:v1:' || p_key || ':%' THEN audit_open(p_place, p_value)
		WHEN p_value LIKE 'enc:v1:%' THEN '[personal]' ELSE p_value END
$$;
CREATE FUNCTION privacy_open_members(p_key text, p_place text, p_value jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT CASE WHEN jsonb_typeof(p_value) = 'object' THEN (SELECT coalesce(jsonb_object_agg(m.key,
			CASE WHEN m.value #>> '{}' LIKE 'enc:v1:%' THEN to_jsonb(privacy_open(p_key, p_place || m.key, m.value #>> '{}')) ELSE m.value END), '{}')
		FROM jsonb_each(p_value) m) ELSE p_value END
$$;

-- An audit row as it may be told to a person: what speaks of him is readable, of others (who did something to him) only the id.
CREATE FUNCTION privacy_audit_row(p_user varchar, p_key text, p_row jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT CASE WHEN p_row->>'user_id' = p_user THEN opened ELSE opened - '{ip_address,user_agent,session_id}'::text[] END
	FROM (SELECT p_row || jsonb_build_object(
		'old_value', privacy_open_members(p_key, 'audit_logs.old_value:' || (p_row->>'id') || '.', p_row->'old_value'),
		'new_value', privacy_open_members(p_key, 'audit_logs.new_value:' || (p_row->>'id') || '.', p_row->'new_value'),
		'user_agent', privacy_open(p_key, 'audit_logs.user_agent:' || (p_row->>'id'), p_row->>'user_agent'),
		'metadata', (SELECT coalesce(jsonb_object_agg(m.key, CASE WHEN m.value #>> '{}' LIKE 'enc:v1:%'
				THEN to_jsonb(privacy_open(p_key, 'audit_logs.metadata.' || m.key || ':' || (p_row->>'id'), m.value #>> '{}')) ELSE m.value END), '{}')
			FROM jsonb_each(p_row->'metadata') m)) AS opened) o
$$;

-- Rows of one table of the archive behind the position p_after, each with its own.
CREATE FUNCTION privacy_page(p_id text, p_table text, p_after jsonb, p_limit integer) RETURNS TABLE (row_value jsonb, place jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' AS $$
DECLARE
	v_user constant varchar := privacy_archive_of(p_id);
	v_names text;  -- columns that name him
	v_subject text;
	v_key text;    -- the primary key's columns
	v_fields text;
BEGIN
	IF p_table = 'audit_logs' THEN
		RETURN QUERY EXECUTE format('SELECT privacy_audit_row($1, $4, to_jsonb(l) - ''r''), jsonb_build_object(''id'', l.id, ''at'', l.created_at)
			FROM %s l WHERE (l.user_id = $1 OR (l.resource_type = ''user'' AND l.resource_id = $1))
				AND ($2 IS NULL OR (l.created_at, l.id) > (($2->>''at'')::timestamptz, ($2->>''id'')::bigint))
			ORDER BY l.created_at, l.id LIMIT $3', audit_source(NULL, NULL))
		USING v_user, p_after, p_limit, (SELECT k.id FROM audit_keys k WHERE k.user_id = v_user);
		RETURN;
	END IF;
	SELECT string_agg(format('t.%I = $1', x.c), ' OR '), string_agg(format('t.%I = $1', x.c), ' OR ') FILTER (WHERE x.s) INTO v_names, v_subject
	FROM (SELECT column_name AS c, subject AS s FROM user_references WHERE table_name = p_table
		UNION ALL SELECT 'id', true WHERE p_table = 'users') x;
	IF v_names IS NULL THEN
		RAISE EXCEPTION 'no archive has a table ''%''', p_table USING ERRCODE = '22023';
	END IF;
	SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY k.n), string_agg(format('%L, t.%I', a.attname, a.attname), ', ') INTO STRICT v_key, v_fields
	FROM pg_index i, unnest(i.indkey::smallint[]) WITH ORDINALITY k(number, n)
	JOIN pg_attribute a ON a.attnum = k.number
	WHERE i.indrelid = to_regclass(quote_ident(p_table)) AND i.indisprimary AND a.attrelid = i.indrelid;
	RETURN QUERY EXECUTE format('SELECT to_jsonb(t) - $4 - CASE WHEN %s THEN ''{}'' ELSE $5 END, jsonb_build_object(%s) FROM %I t
		WHERE (%s) AND ($2 IS NULL OR (%s) > (SELECT %s FROM jsonb_populate_record(NULL::%I, $2) t)) ORDER BY %s LIMIT $3',
		v_subject, v_fields, p_table, v_names, v_key, v_key, p_table, v_key)
	USING v_user, p_after, p_limit, privacy_columns(p_table, true), privacy_columns(p_table, false);
END
$$;

-- ---- deciding ------------------------------------------------------------------------------------------------------------------------

-- Nobody is named by this user any more. How many rows of which table were removed, emptied of what is personal, and kept.
CREATE FUNCTION privacy_erase(p_user varchar, p_request text) RETURNS jsonb
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t record;
	n bigint;
	removed jsonb := '{}';
	emptied jsonb := '{}';
	kept jsonb := '{}';
BEGIN
	IF EXISTS (SELECT 1 FROM users WHERE id = p_user AND deleted_at IS NULL) THEN
		-- The last administrator and the last owner of a team are refused there; sessions and keys end on every front.
		PERFORM user_delete(p_user, 'erased by privacy request ' || p_request);
	END IF;
	FOR t IN SELECT v.table_name AS name, string_agg(format('%I = $1', v.column_name), ' OR ') FILTER (WHERE v.own) AS own,
			string_agg(format('%I = $1', v.column_name), ' OR ') FILTER (WHERE v.subject) AS subject,
			string_agg(format('%I = $1', v.column_name), ' OR ') AS any_column,
			-- What names the row or a person by id stays, also where the table is personal as a whole.
			(SELECT string_agg(format('%I = DEFAULT', c), ', ') FROM unnest(privacy_columns(v.table_name, false)) c
				WHERE c NOT IN (SELECT column_name FROM user_references WHERE table_name = v.table_name)
				AND NOT EXISTS (SELECT 1 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::smallint[])
					WHERE i.indrelid = to_regclass(quote_ident(v.table_name)) AND i.indisprimary AND a.attname = c)) AS personal
		FROM user_references v WHERE v.table_name NOT IN ('audit_logs', 'audit_keys') GROUP BY v.table_name ORDER BY v.table_name
	LOOP
		IF t.own IS NOT NULL THEN
			EXECUTE format('DELETE FROM %I WHERE %s', t.name, t.own) USING p_user;
			GET DIAGNOSTICS n = ROW_COUNT;
			removed := removed || CASE WHEN n > 0 THEN jsonb_build_object(t.name, n) ELSE '{}' END;
		ELSIF t.personal IS NOT NULL THEN
			EXECUTE format('UPDATE %I SET %s WHERE %s', t.name, t.personal, t.subject) USING p_user;
			GET DIAGNOSTICS n = ROW_COUNT;
			emptied := emptied || CASE WHEN n > 0 THEN jsonb_build_object(t.name, n) ELSE '{}' END;
		END IF;
		EXECUTE format('SELECT count(*) FROM %I WHERE %s', t.name, t.any_column) INTO n USING p_user;
		kept := kept || CASE WHEN n > 0 THEN jsonb_build_object(t.name, n) ELSE '{}' END;
	END LOOP;
	-- Counters of logins bear the id in their keys.
	DELETE FROM login_attempts WHERE key = p_user OR starts_with(key, p_user || ' ');
	UPDATE users SET email = id || '@erased.invalid', name = 'erased', username = NULL, avatar = NULL, provider_id = id, password = NULL,
		phone_number = NULL, preferences = '{}', metadata = '{}', last_login = NULL WHERE id = p_user;
	PERFORM audit_forget(p_user);
	RETURN jsonb_build_object('removed', removed, 'emptied', emptied || '{"users": 1}', 'kept', kept, 'audit', 'key destroyed');
END
$$;

-- How many rows of which table speak of him.
CREATE FUNCTION privacy_count(p_user varchar) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	t record;
	n bigint;
	counts jsonb := '{"users": 1}';
BEGIN
	FOR t IN SELECT table_name AS name, string_agg(format('%I = $1', column_name), ' OR ') AS condition FROM user_references GROUP BY 1 LOOP
		EXECUTE format('SELECT count(*) FROM %I WHERE %s', t.name, t.condition) INTO n USING p_user;
		counts := counts || CASE WHEN n > 0 THEN jsonb_build_object(t.name, n) ELSE '{}' END;
	END LOOP;
	RETURN counts;
END
$$;

-- Do what was asked, in this transaction.
CREATE FUNCTION privacy_complete(p_id text, p_note text) RETURNS SETOF privacy_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	r data_privacy_records := privacy_find(p_id, true);
	v_result jsonb := '{}';
BEGIN
	PERFORM user_refuse_unless_admin('handling privacy requests');
	IF r.status NOT IN ('pending', 'in_progress') THEN
		RAISE EXCEPTION 'request ''%'' is % already', r.id, r.status USING ERRCODE = 'MC005';
	END IF;
	CASE r.request_type
		WHEN 'access', 'portability' THEN
			v_result := jsonb_build_object('rows', privacy_count(r.user_id));
		WHEN 'deletion' THEN
			v_result := privacy_erase(r.user_id, r.id);
		WHEN 'rectification' THEN
			PERFORM user_change(r.user_id, r.details->'changes', NULL);
			v_result := jsonb_build_object('changed', (SELECT jsonb_agg(k) FROM jsonb_object_keys(r.details->'changes') k));
		WHEN 'restriction' THEN
			-- Kept and not used: he cannot act, nothing acts for him, and 'user activate' lifts it.
			IF EXISTS (SELECT 1 FROM users WHERE id = r.user_id AND is_active) THEN
				PERFORM user_activate(r.user_id, false, 'restricted by privacy request ' || r.id);
			END IF;
			v_result := '{"deactivated": true}';
	END CASE;
	UPDATE data_privacy_records SET status = 'completed', processed_at = now(), processed_by = app_user_id(),
		result = v_result || jsonb_strip_nulls(jsonb_build_object('note', p_note)), systems_affected = '{mortise}',
		data_categories = (SELECT array_agg(DISTINCT k ORDER BY k) FROM jsonb_each(v_result) m, jsonb_object_keys(CASE jsonb_typeof(m.value) WHEN 'object' THEN m.value ELSE '{}' END) k)
	WHERE id = r.id RETURNING * INTO r;
	PERFORM audit_write('privacy.complete', 'data_privacy_record', r.id, NULL,
		p_new => jsonb_build_object('user_id', r.user_id, 'request_type', r.request_type, 'status', r.status, 'data_categories', r.data_categories));
	RETURN NEXT privacy_facts_of(r);
END
$$;

-- An administrator says no, or the person wants it no more.
CREATE FUNCTION privacy_reject(p_id text, p_reason text) RETURNS SETOF privacy_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	r data_privacy_records := privacy_find(p_id, true);
BEGIN
	IF r.status NOT IN ('pending', 'in_progress') THEN
		RAISE EXCEPTION 'request ''%'' is % already', r.id, r.status USING ERRCODE = 'MC005';
	END IF;
	UPDATE data_privacy_records SET status = 'rejected', processed_at = now(), processed_by = app_user_id(),
		result = jsonb_build_object('reason', p_reason) WHERE id = r.id RETURNING * INTO r;
	PERFORM audit_write('privacy.reject', 'data_privacy_record', r.id, NULL,
		p_new => jsonb_build_object('user_id', r.user_id, 'request_type', r.request_type, 'status', r.status, 'result', r.result));
	RETURN NEXT privacy_facts_of(r);
END
$$;
