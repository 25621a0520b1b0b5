-- The audit trail's chain, its seals, and what is written of refusals.
--
-- Every row gets a seal: its hash, and a hash that covers the seal before. Hashes are made and verified in C (core/codec/chain.h: the form);
-- here stands who is next. A chain is a month of created_at in UTC, so it does not matter in which partition a row lies: the month's own,
-- the default one, or one that was detached. Rows are sealed in the order (xact, id) once no transaction that could still write a lower xact
-- is open: the order of sequences is not the order of commits. A long open transaction anywhere in the cluster holds sealing up, and
-- verifying says so.
SET LOCAL search_path = public, pg_temp;

-- previous: the chain that was sealed last when this one began, and its head then; the first seal covers it.
CREATE TABLE audit_chains (
	name text PRIMARY KEY,
	previous text REFERENCES audit_chains,
	previous_sequence bigint,
	previous_hash bytea,
	started_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE audit_seals (
	chain text NOT NULL REFERENCES audit_chains,
	sequence bigint NOT NULL CHECK (sequence > 0),
	row_id bigint NOT NULL,
	horizon xid8 NOT NULL,
	row_hash bytea NOT NULL CHECK (length(row_hash) = 32),
	chain_hash bytea NOT NULL CHECK (length(chain_hash) = 32),
	PRIMARY KEY (chain, sequence)
);
-- Not unique: two rows of one id in a month are a forgery, which must not stop the sealer.
CREATE INDEX audit_seals_row ON audit_seals (chain, row_id);
CREATE TRIGGER audit_chains_append_only BEFORE UPDATE OR DELETE ON audit_chains FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_chains_no_truncate BEFORE TRUNCATE ON audit_chains FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- How far sealing is, one row. A pass seals what lies below its horizon, in one or more batches. All rows with xact < below are sealed, and of
-- the others those up to (after_xact, after_id). The ids of a later pass are higher than those of an earlier one: a row draws its id after its
-- transaction got its number (audit_insert). A database that was restored from a dump counts transactions anew, so its horizon is below
-- `below`; then the rows behind max_id are what is not sealed yet, and the horizon in the seals goes back once, for all to see.
CREATE TABLE audit_sealer (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	below xid8 NOT NULL DEFAULT '0',
	after_xact xid8 NOT NULL DEFAULT '0',
	after_id bigint NOT NULL DEFAULT 0,
	max_id bigint NOT NULL DEFAULT 0,
	horizon xid8, -- of a pass that has further batches
	chain text REFERENCES audit_chains, -- sealed last
	sealed_at timestamptz
);
INSERT INTO audit_sealer DEFAULT VALUES;
CREATE FUNCTION audit_sealer_state(s audit_sealer) RETURNS text
LANGUAGE sql STABLE AS $$ SELECT concat_ws(' ', s.below, s.after_xact, s.after_id, s.max_id, s.horizon) $$;

CREATE FUNCTION audit_chain_of(p_time timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN p_time >= '2000-01-01 00:00Z' AND p_time < '3000-01-01 00:00Z'
		THEN to_char(p_time AT TIME ZONE 'UTC', 'YYYY_MM') ELSE 'other' END
$$;

-- The times of a chain, as bounds of audit_source(); none for the odd one, whose rows audit_chain_of() tells.
CREATE FUNCTION audit_chain_range(p_chain text, OUT from_time timestamptz, OUT to_time timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE SET timezone = 'UTC' AS $$
	SELECT start, start + interval '1 month'
	FROM (SELECT CASE WHEN p_chain ~ '^2[0-9]{3}_(0[1-9]|1[0-2])$' THEN to_timestamp(p_chain || ' +00', 'YYYY_MM TZH') END AS start) s
$$;

-- Rows as they are hashed and shown: each column as the text that the canonical form takes.
CREATE TYPE audit_text AS (id text, user_id text, action text, resource_type text, resource_id text, resource_name text, old_value text,
	new_value text, ip_address text, user_agent text, session_id text, request_id text, status text, error_message text, metadata text,
	created_at text, xact text);
CREATE FUNCTION audit_text_of(r audit_logs) RETURNS audit_text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT (r.id::text, r.user_id, r.action, r.resource_type, r.resource_id, r.resource_name, r.old_value::text, r.new_value::text,
		r.ip_address::text, r.user_agent, r.session_id, r.request_id, r.status, r.error_message, r.metadata::text,
		trunc(extract(epoch FROM r.created_at) * 1000000)::text, r.xact::text)::audit_text
$$;

-- A query for the rows of [from, to) (NULL: no such bound), those of detached months too; a statement's FROM item. r: as text.
CREATE FUNCTION audit_source(p_from timestamptz, p_to timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	cols constant text := 'id, user_id, action, resource_type, resource_id, resource_name, old_value, new_value, ip_address, user_agent, '
		'session_id, request_id, status, error_message, metadata, created_at, xact';
BEGIN
	RETURN (SELECT '(' || string_agg(format('SELECT %s, audit_text_of(ROW(%1$s)::audit_logs) AS r FROM %I WHERE created_at >= %L AND created_at <= %L',
			cols, t.name, coalesce(p_from, '-infinity'), coalesce(p_to, 'infinity')), ' UNION ALL ' ORDER BY t.name) || ')'
		FROM (SELECT 'audit_logs' AS name UNION ALL SELECT a.name FROM audit_archives a
			WHERE a.from_time <= coalesce(p_to, 'infinity') AND a.to_time >= coalesce(p_from, '-infinity')
			AND to_regclass(quote_ident(a.name)) IS NOT NULL) t);
END
$$;

-- ---- sealing: the supervisor ------------------------------------------------------------------------------------------------------------

-- What is to be sealed next, at most p_limit rows; one row with an r of NULLs when there is nothing. state: what audit_seal() goes on from;
-- last_chain: sealed last. No row at all while another node holds the lease, which is one for all environments.
CREATE FUNCTION audit_unsealed(p_node text, p_token bigint, p_ttl interval, p_limit integer) RETURNS TABLE (state text, horizon text,
	last_chain text, chain text, r audit_text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	s audit_sealer;
	v_horizon xid8;
BEGIN
	PERFORM node_check(p_node, p_token);
	INSERT INTO leases AS l (environment, name, node_id, fencing_token, lease_until)
	VALUES ('', 'audit', p_node, p_token, clock_timestamp() + p_ttl)
	ON CONFLICT (environment, name) DO UPDATE SET node_id = EXCLUDED.node_id, fencing_token = EXCLUDED.fencing_token,
		lease_until = EXCLUDED.lease_until
		WHERE l.node_id = EXCLUDED.node_id OR l.lease_until <= clock_timestamp();
	IF NOT FOUND THEN
		RETURN;
	END IF;
	SELECT * INTO s FROM audit_sealer;
	v_horizon := coalesce(s.horizon, pg_snapshot_xmin(pg_current_snapshot()));
	IF v_horizon >= s.below THEN
		RETURN QUERY SELECT audit_sealer_state(s), v_horizon::text, s.chain, audit_chain_of(a.created_at), audit_text_of(a)
			FROM audit_logs a WHERE a.xact >= s.below AND a.xact < v_horizon AND (a.xact, a.id) > (s.after_xact, s.after_id)
			ORDER BY a.xact, a.id LIMIT p_limit;
	ELSE
		RETURN QUERY SELECT audit_sealer_state(s), v_horizon::text, s.chain, audit_chain_of(a.created_at), audit_text_of(a)
			FROM audit_logs a WHERE a.id > s.max_id AND (a.xact < v_horizon OR a.xact >= s.below)
			ORDER BY a.id LIMIT p_limit;
	END IF;
	IF NOT FOUND THEN
		RETURN QUERY SELECT audit_sealer_state(s), v_horizon::text, s.chain, NULL::text, NULL::audit_text;
	END IF;
END
$$;

-- The head of a chain, which begins here if there is none of that name: sequence 0 and no hash.
CREATE FUNCTION audit_chain_head(p_node text, p_token bigint, p_chain text) RETURNS TABLE (name text, previous text, previous_sequence bigint,
	previous_hash text, sequence bigint, row_id bigint, chain_hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM node_check(p_node, p_token);
	PERFORM 1 FROM audit_sealer FOR UPDATE;
	IF NOT EXISTS (SELECT 1 FROM audit_chains c WHERE c.name = p_chain) THEN
		INSERT INTO audit_chains(name, previous, previous_sequence, previous_hash)
			SELECT p_chain, s.chain, s.sequence, s.chain_hash FROM (SELECT 1) one
			LEFT JOIN LATERAL (SELECT e.* FROM audit_seals e JOIN audit_sealer r ON r.chain = e.chain ORDER BY e.sequence DESC LIMIT 1) s ON true;
	END IF;
	RETURN QUERY SELECT c.name, c.previous, c.previous_sequence, encode(c.previous_hash, 'hex'), coalesce(s.sequence, 0), s.row_id,
			encode(s.chain_hash, 'hex')
		FROM audit_chains c
		LEFT JOIN LATERAL (SELECT e.sequence, e.row_id, e.chain_hash FROM audit_seals e WHERE e.chain = c.name ORDER BY e.sequence DESC LIMIT 1) s ON true
		WHERE c.name = p_chain;
END
$$;

-- Put the seals down and move on, if the state is still the one that they were made on: else nothing happens and the number is 0.
-- p_full: more may be waiting below this horizon.
CREATE FUNCTION audit_seal(p_node text, p_token bigint, p_state text, p_horizon text, p_full boolean, p_chains text[], p_sequences bigint[],
	p_row_ids bigint[], p_xacts text[], p_row_hashes text[], p_chain_hashes text[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	n integer := cardinality(p_row_ids);
	v_horizon xid8 := p_horizon::xid8;
BEGIN
	PERFORM node_check(p_node, p_token);
	UPDATE audit_sealer s SET chain = p_chains[n], sealed_at = now(), horizon = CASE WHEN p_full THEN v_horizon END,
		max_id = greatest(s.max_id, (SELECT max(i) FROM unnest(p_row_ids) i)),
		below = CASE WHEN NOT p_full THEN v_horizon WHEN s.below > v_horizon THEN s.below ELSE p_xacts[n]::xid8 END,
		after_xact = CASE WHEN NOT p_full THEN '0' WHEN s.below > v_horizon THEN s.after_xact ELSE p_xacts[n]::xid8 END,
		after_id = CASE WHEN NOT p_full THEN 0 WHEN s.below > v_horizon THEN s.after_id ELSE p_row_ids[n] END
	WHERE audit_sealer_state(s) = p_state;
	IF NOT FOUND THEN
		RETURN 0;
	END IF;
	INSERT INTO audit_seals(chain, sequence, row_id, horizon, row_hash, chain_hash)
		SELECT u.chain, u.sequence, u.row_id, v_horizon, decode(u.row_hash, 'hex'), decode(u.chain_hash, 'hex')
		FROM unnest(p_chains, p_sequences, p_row_ids, p_row_hashes, p_chain_hashes) u(chain, sequence, row_id, row_hash, chain_hash);
	RETURN n;
END
$$;

-- ---- verifying: administrators ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION audit_reader_check() RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	IF app_plugin() <> '' OR NOT app_is_admin() THEN
		RAISE EXCEPTION 'only an administrator reads the audit trail' USING ERRCODE = '42501';
	END IF;
END
$$;

-- Every month that has seals, and every one that only has rows; head: the last seal. How far sealing is stands in each row: waiting_since,
-- the eldest row without a seal; idle_since, the eldest that no open transaction holds up.
CREATE FUNCTION audit_chains_list() RETURNS TABLE (name text, previous text, previous_sequence bigint, previous_hash text, sequence bigint,
	row_id bigint, chain_hash text, below text, waiting_since timestamptz, idle_since timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	v_below xid8 := (SELECT s.below FROM audit_sealer s);
	v_waiting timestamptz;
	v_idle timestamptz;
BEGIN
	PERFORM audit_reader_check();
	SELECT min(w.created_at), min(w.created_at) FILTER (WHERE w.xact < pg_snapshot_xmin(pg_current_snapshot())) INTO v_waiting, v_idle
		FROM (SELECT a.created_at, a.xact FROM audit_logs a, audit_sealer s
			WHERE a.xact >= s.below AND (a.xact, a.id) > (s.after_xact, s.after_id) ORDER BY a.xact, a.id LIMIT 1000) w;
	RETURN QUERY SELECT m.name, c.previous, c.previous_sequence, encode(c.previous_hash, 'hex'), coalesce(s.sequence, 0), s.row_id,
			encode(s.chain_hash, 'hex'), v_below::text, v_waiting, v_idle
		FROM (SELECT a.name FROM audit_chains a UNION SELECT audit_chain_of(b.from_time) FROM audit_archives b
			UNION SELECT audit_chain_of((regexp_match(pg_get_expr(p.relpartbound, p.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz)
				FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid
				WHERE h.inhparent = 'audit_logs'::regclass AND pg_get_expr(p.relpartbound, p.oid) <> 'DEFAULT'
			UNION SELECT audit_chain_of(d.created_at) FROM audit_logs_default d) m
		LEFT JOIN audit_chains c ON c.name = m.name
		LEFT JOIN LATERAL (SELECT e.sequence, e.row_id, e.chain_hash FROM audit_seals e WHERE e.chain = m.name ORDER BY e.sequence DESC LIMIT 1) s ON true
		ORDER BY c.started_at, m.name;
END
$$;

-- Seals of a chain behind p_after, each with its row, or without one (id NULL) where there is none.
CREATE FUNCTION audit_chain_page(p_chain text, p_after bigint, p_limit integer) RETURNS TABLE (sequence bigint, row_id bigint, horizon text,
	row_hash text, chain_hash text, r audit_text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode = 'force_custom_plan' AS $$
DECLARE
	span record := audit_chain_range(p_chain);
BEGIN
	PERFORM audit_reader_check();
	RETURN QUERY EXECUTE format('SELECT s.sequence, s.row_id, s.horizon::text, encode(s.row_hash, ''hex''), encode(s.chain_hash, ''hex''), a.r FROM
		(SELECT * FROM audit_seals WHERE chain = $1 AND sequence > $2 ORDER BY sequence LIMIT $3) s
		LEFT JOIN LATERAL (SELECT l.r, l.id FROM %s l
			WHERE l.id = s.row_id AND audit_chain_of(l.created_at) = $1) a ON true
		ORDER BY s.sequence, a.id', audit_source(span.from_time, span.to_time)) USING p_chain, p_after, p_limit;
END
$$;

-- Rows of a chain that no seal names, behind row p_after. `inserted`: their transaction lies where all is sealed, or has not happened yet.
CREATE FUNCTION audit_strays(p_chain text, p_after bigint, p_limit integer) RETURNS TABLE (id bigint, created_at timestamptz, action text,
	inserted boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode = 'force_custom_plan' AS $$
DECLARE
	span record := audit_chain_range(p_chain);
BEGIN
	PERFORM audit_reader_check();
	RETURN QUERY EXECUTE format('SELECT l.id, l.created_at, l.action::text, pg_snapshot_xmin(pg_current_snapshot()) >= s.below
			AND (l.xact < s.below OR (l.xact, l.id) <= (s.after_xact, s.after_id) OR l.xact >= pg_snapshot_xmax(pg_current_snapshot()))
		FROM %s l, audit_sealer s WHERE audit_chain_of(l.created_at) = $1 AND l.id > $2
			AND NOT EXISTS (SELECT 1 FROM audit_seals e WHERE e.chain = $1 AND e.row_id = l.id)
		ORDER BY l.id LIMIT $3', audit_source(span.from_time, span.to_time)) USING p_chain, p_after, p_limit;
END
$$;

-- ---- reading: administrators ------------------------------------------------------------------------------------------------------------

-- Members that are envelopes, opened or withheld.
CREATE FUNCTION audit_reveal(p_personal boolean, p_place text, p_value jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF p_value IS NULL OR jsonb_typeof(p_value) <> 'object' OR strpos(p_value::text, '"enc:v1:') = 0 THEN
		RETURN p_value;
	END IF;
	RETURN (SELECT jsonb_object_agg(m.key, CASE
			WHEN m.value #>> '{}' LIKE 'enc:v1:%' THEN to_jsonb(CASE WHEN p_personal THEN audit_open(p_place || '.' || m.key, m.value #>> '{}')
				ELSE '[personal]' END)
			ELSE m.value END) FROM jsonb_each(p_value) m);
END
$$;

-- Rows behind the position (time, id), newest first or oldest first. p_who: a user's id or name of login, or an actor that is no user;
-- p_action: `user.update`, or `user.*`; p_resource: id or name. Personal values are '[personal]' unless asked for, and asking is audited.
CREATE FUNCTION audit_search(p_who text, p_action text, p_resource_type text, p_resource text, p_from timestamptz, p_to timestamptz,
	p_status text, p_request text, p_personal boolean, p_oldest_first boolean, p_after_time timestamptz, p_after_id bigint, p_limit integer)
RETURNS TABLE (id bigint, created_at timestamptz, user_id text, user_name text, action text, resource_type text, resource_id text,
	resource_name text, old_value jsonb, new_value jsonb, ip_address text, user_agent text, session_id text, request_id text, status text,
	error_message text, metadata jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	v_who text := (SELECT u.id FROM users u WHERE u.id = p_who OR lower(u.username) = lower(p_who) ORDER BY u.id <> p_who LIMIT 1);
	v_order text := CASE WHEN p_oldest_first THEN '' ELSE 'DESC' END;
BEGIN
	PERFORM audit_reader_check();
	IF p_personal AND p_after_id IS NULL THEN
		PERFORM audit_write('audit.read_personal', 'audit', NULL, NULL, p_metadata => jsonb_strip_nulls(jsonb_build_object('who', v_who,
			'action', p_action, 'resource_type', p_resource_type, 'from', p_from, 'to', p_to)));
	END IF;
	RETURN QUERY EXECUTE format($q$
		SELECT a.id, a.created_at, a.user_id::text, CASE WHEN $1 THEN u.name::text END, a.action::text, a.resource_type::text, a.resource_id::text,
			coalesce(a.resource_name, m.opened ->> 'resource_name')::text,
			audit_reveal($1, 'audit_logs.old_value:' || a.id, a.old_value), audit_reveal($1, 'audit_logs.new_value:' || a.id, a.new_value),
			CASE WHEN $1 AND m.opened ->> 'ip_address' NOT LIKE '[%%' THEN m.opened ->> 'ip_address' ELSE abbrev(a.ip_address) END,
			CASE WHEN a.user_agent NOT LIKE 'enc:v1:%%' THEN a.user_agent WHEN $1 THEN audit_open('audit_logs.user_agent:' || a.id, a.user_agent)
				ELSE '[personal]' END,
			a.session_id::text, a.request_id::text, a.status::text, a.error_message, a.metadata - '{ip_address,resource_name}'::text[]
		FROM (SELECT l.* FROM %s l WHERE ($2 IS NULL OR l.user_id = $2 OR l.metadata ->> 'actor' = $2)
				AND ($3 IS NULL OR l.action = $3 OR (right($3, 2) = '.*' AND starts_with(l.action, left($3, -1))))
				AND ($4 IS NULL OR l.resource_type = $4) AND ($5 IS NULL OR l.resource_id = $5 OR l.resource_name = $5)
				AND ($6 IS NULL OR l.status = $6) AND ($7 IS NULL OR l.request_id = $7)
				AND ($9 IS NULL OR (l.created_at, l.id) %s ($8, $9))
			ORDER BY l.created_at %s, l.id %3$s LIMIT $10) a
		LEFT JOIN users u ON u.id = a.user_id
		CROSS JOIN LATERAL (SELECT jsonb_strip_nulls(jsonb_build_object(
			'ip_address', CASE WHEN $1 THEN audit_open('audit_logs.metadata.ip_address:' || a.id, a.metadata ->> 'ip_address') END,
			'resource_name', CASE WHEN a.metadata ? 'resource_name' THEN CASE WHEN $1
				THEN audit_open('audit_logs.metadata.resource_name:' || a.id, a.metadata ->> 'resource_name') ELSE '[personal]' END END)) AS opened) m
		ORDER BY a.created_at %3$s, a.id %3$s$q$, audit_source(p_from, p_to), CASE WHEN p_oldest_first THEN '>' ELSE '<' END, v_order)
	USING p_personal, coalesce(v_who, p_who), p_action, p_resource_type, p_resource, p_status, p_request, p_after_time, p_after_id, p_limit;
END
$$;

-- Which columns speak of persons, and the columns of their tables that name the person: what privacy requests are about.
CREATE VIEW personal_columns AS
	SELECT c.table_name, c.column_name, CASE c.table_name WHEN 'users' THEN '{id}' ELSE coalesce(s.columns, '{}') END AS subject_columns
	FROM data_classification c LEFT JOIN LATERAL (
		SELECT array_agg(a.attname::text ORDER BY a.attnum) AS columns
		FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		WHERE f.contype = 'f' AND f.conrelid = to_regclass(quote_ident(c.table_name)) AND f.confrelid = 'users'::regclass) s ON true
	WHERE c.contains_pii;

-- ---- refusals: the front ----------------------------------------------------------------------------------------------------------------

-- What was refused or failed, in one batch: nothing changed, so there is no transaction that the rows could be part of.
CREATE FUNCTION audit_refusals(p_rows jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	r record;
	n integer := 0;
BEGIN
	FOR r IN SELECT * FROM jsonb_to_recordset(p_rows) x(user_id text, plugin text, ip_address text, user_agent text, session_id text,
		request_id text, action text, resource_type text, resource_name text, status text, error text, metadata jsonb)
	LOOP
		IF r.status NOT IN ('failure', 'error') THEN
			RAISE EXCEPTION 'a refusal is no %', r.status USING ERRCODE = '22023';
		END IF;
		PERFORM audit_insert((r.user_id, r.plugin, audit_address(r.ip_address), r.user_agent,
			r.session_id, r.request_id)::audit_asker, r.action, r.resource_type, NULL, r.resource_name, NULL, NULL, r.status, r.error, r.metadata);
		n := n + 1;
	END LOOP;
	RETURN n;
END
$$;
