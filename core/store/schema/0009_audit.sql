-- Audit trail, compliance and privacy records.
SET LOCAL search_path = public, pg_temp;

-- Append-only, partitioned by month (0021). After 90 days a partition is detached and exported, never destroyed here.
CREATE SEQUENCE audit_logs_id_seq;
CREATE TABLE audit_logs (
	id bigint NOT NULL DEFAULT nextval('audit_logs_id_seq'),
	user_id varchar(30) REFERENCES users,
	action varchar(100) NOT NULL,
	resource_type varchar(50),
	resource_id varchar(255),
	resource_name varchar(255),
	old_value jsonb,
	new_value jsonb,
	ip_address inet,
	user_agent text,
	session_id varchar(30),
	request_id varchar(64),
	status varchar(20) NOT NULL,
	error_message text,
	metadata jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	xact xid8 NOT NULL DEFAULT pg_current_xact_id(), -- the order of sealing (0028)
	PRIMARY KEY (id, created_at),
	CHECK (status IN ('success', 'failure', 'error'))
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_audit_logs_action ON audit_logs (action);
CREATE INDEX idx_audit_logs_created ON audit_logs (created_at DESC);
CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_type, resource_id);
CREATE INDEX idx_audit_logs_status ON audit_logs (status);
CREATE INDEX idx_audit_logs_user_action_date ON audit_logs (user_id, action, created_at DESC);
CREATE INDEX idx_audit_logs_xact ON audit_logs (xact, id);
ALTER SEQUENCE audit_logs_id_seq OWNED BY audit_logs.id;
CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT WITH (autovacuum_vacuum_scale_factor = 0.05);

CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'audit rows cannot be changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
-- The row trigger is cloned to every partition; TRUNCATE knows statement triggers only, so 0021 adds one to each.
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs_default FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Detached months, until and after their export.
CREATE TABLE audit_archives (
	name text PRIMARY KEY,
	from_time timestamptz NOT NULL,
	to_time timestamptz NOT NULL,
	detached_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	exported_at timestamptz
);

-- An address of the wrong form is not worth losing an audit row for.
CREATE FUNCTION audit_address(p_address text) RETURNS inet
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF p_address IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN p_address::inet;
EXCEPTION WHEN invalid_text_representation THEN
	RETURN NULL;
END
$$;

CREATE FUNCTION app_address() RETURNS inet
LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN audit_address(app_setting('app.ip_address'));
END
$$;

-- What follows down to audit_insert() is called from functions that pin the search_path, by the owner's right: pinning it again in each
-- would double what an audit row costs.

-- Personal values of audit rows are envelopes (0005) under a key of the person they speak of. Rows cannot be changed, keys can be destroyed:
-- audit_forget() makes the values unreadable, and the chain, which covers the envelopes, still holds. Nobody but the owner reads this table.
CREATE TABLE audit_keys (
	user_id varchar(30) PRIMARY KEY REFERENCES users,
	id varchar(30) NOT NULL UNIQUE DEFAULT generate_cuid(), -- the key id in the envelopes
	secret_key bytea CHECK (length(secret_key) = 32),
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	forgotten_at timestamptz,
	CHECK ((secret_key IS NULL) = (forgotten_at IS NOT NULL))
);

-- The envelope of a value about a person, for one place of one row. Of a person who is unknown or forgotten nothing is kept.
CREATE FUNCTION audit_personal(p_subject varchar, p_place text, p_value text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	k audit_keys;
	iv bytea := gen_random_bytes(16);
	sealed bytea;
BEGIN
	IF p_value IS NULL THEN
		RETURN NULL;
	END IF;
	SELECT * INTO k FROM audit_keys WHERE user_id = p_subject;
	IF k.user_id IS NULL THEN
		INSERT INTO audit_keys(user_id, secret_key) SELECT id, gen_random_bytes(32) FROM users WHERE id = p_subject ON CONFLICT DO NOTHING;
		SELECT * INTO k FROM audit_keys WHERE user_id = p_subject;
	END IF;
	IF k.secret_key IS NULL THEN
		RETURN '[personal]';
	END IF;
	sealed := iv || encrypt_iv(convert_to(p_value, 'UTF8'), hmac('enc'::bytea, k.secret_key, 'sha256'), iv, 'aes-cbc/pad:pkcs');
	RETURN 'enc:v1:' || k.id || ':' || translate(encode(sealed || hmac(convert_to('v1:' || k.id || ':' || p_place, 'UTF8') || '\x00'::bytea || sealed,
		hmac('mac'::bytea, k.secret_key, 'sha256'), 'sha256'), 'base64'), E'\n', ''); -- the tag is encryption_tag()'s
END
$$;

-- What such an envelope holds; '[personal]' when its key is destroyed. One that is damaged says so: reading goes on, verifying names the row.
CREATE FUNCTION audit_open(p_place text, p_value text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
	part text[] := regexp_match(p_value, '^enc:v1:([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/=]+)$');
	master bytea;
	raw bytea;
	sealed bytea;
BEGIN
	IF part IS NULL THEN
		RETURN p_value;
	END IF;
	SELECT secret_key INTO master FROM audit_keys WHERE id = part[1];
	IF master IS NULL THEN
		RETURN '[personal]';
	END IF;
	raw := decode(part[2], 'base64');
	IF length(raw) < 64 OR (length(raw) - 48) % 16 <> 0 THEN
		RETURN '[damaged]';
	END IF;
	sealed := substr(raw, 1, length(raw) - 32);
	IF encryption_tag(master, part[1], p_place, sealed) <> substr(raw, length(raw) - 31) THEN
		RETURN '[damaged]';
	END IF;
	RETURN convert_from(decrypt_iv(substr(sealed, 17), hmac('enc'::bytea, master, 'sha256'), substr(sealed, 1, 16), 'aes-cbc/pad:pkcs'), 'UTF8');
EXCEPTION WHEN invalid_parameter_value OR character_not_in_repertoire THEN
	RETURN '[damaged]';
END
$$;

-- At any depth: a member named like a restricted column of any table holds no value.
CREATE FUNCTION audit_withhold(p_value jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN CASE jsonb_typeof(p_value)
		WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(m.key, CASE
				WHEN m.value <> 'null' AND EXISTS (SELECT 1 FROM data_classification c
					WHERE c.column_name = m.key AND c.classification = 'restricted') THEN '"[redacted]"'
				WHEN jsonb_typeof(m.value) IN ('object', 'array') THEN audit_withhold(m.value)
				ELSE m.value END), '{}') FROM jsonb_each(p_value) m)
		WHEN 'array' THEN (SELECT coalesce(jsonb_agg(audit_withhold(e.value) ORDER BY e.n), '[]')
			FROM jsonb_array_elements(p_value) WITH ORDINALITY e(value, n))
		ELSE p_value END;
END
$$;

-- Old and new values as the classification of their columns wants them: restricted ones never, personal ones as envelopes.
CREATE FUNCTION audit_redact(p_table text, p_subject varchar, p_place text, p_value jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
	IF p_value IS NULL OR jsonb_typeof(p_value) <> 'object' THEN
		RETURN audit_withhold(p_value);
	END IF;
	RETURN (SELECT coalesce(jsonb_object_agg(m.key, CASE
			WHEN m.value = 'null' THEN m.value
			WHEN c.classification = 'restricted' OR EXISTS (SELECT 1 FROM data_classification r
				WHERE r.column_name = m.key AND r.classification = 'restricted') THEN '"[redacted]"'
			WHEN c.contains_pii THEN to_jsonb(audit_personal(p_subject, p_place || '.' || m.key, m.value #>> '{}'))
			WHEN jsonb_typeof(m.value) IN ('object', 'array') THEN audit_withhold(m.value)
			ELSE m.value END), '{}')
		FROM jsonb_each(p_value) m LEFT JOIN LATERAL (SELECT d.classification, d.contains_pii FROM data_classification d
			WHERE d.table_name = p_table AND d.column_name IN (m.key, '*') ORDER BY d.column_name = '*' LIMIT 1) c ON true);
END
$$;

-- Networks of persons stay readable and searchable, whole addresses do not: /24 and /48. Nobody's address is nobody's.
CREATE FUNCTION audit_network(p_address inet) RETURNS inet
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT set_masklen(p_address, CASE family(p_address) WHEN 4 THEN 24 ELSE 48 END)::cidr::inet
$$;

-- Who asks, for one audit row; NULL: not known.
CREATE TYPE audit_asker AS (user_id text, plugin text, address inet, user_agent text, session_id text, request_id text);

-- The one statement that makes audit rows. p_old and p_new have members named like the columns of the resource's table (resource_type
-- and an s). A personal value whose column cannot hold an envelope (inet, 255 characters) stands in the metadata as one.
CREATE FUNCTION audit_insert(p_asker audit_asker, p_action text, p_resource_type text, p_resource_id text, p_resource_name text,
	p_old jsonb, p_new jsonb, p_status text, p_error text, p_metadata jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	row_id bigint;
	known varchar := (SELECT id FROM users WHERE id = p_asker.user_id);
	subject varchar := CASE WHEN p_resource_type = 'user' THEN p_resource_id
		ELSE coalesce(p_new ->> 'user_id', p_old ->> 'user_id', known) END;
	metadata jsonb := CASE WHEN p_metadata <> '{}' THEN audit_withhold(p_metadata) ELSE '{}' END;
	resource_name text := left(p_resource_name, 255);
BEGIN
	-- In this order: the sealer (0028) relies on it.
	PERFORM pg_current_xact_id();
	row_id := nextval('audit_logs_id_seq');
	IF p_asker.user_id IS NOT NULL AND known IS NULL THEN
		metadata := metadata || jsonb_build_object('actor', p_asker.user_id);
	END IF;
	IF p_asker.plugin <> '' THEN
		metadata := metadata || jsonb_build_object('plugin', p_asker.plugin);
	END IF;
	IF known IS NOT NULL AND p_asker.address IS NOT NULL THEN
		metadata := metadata || jsonb_build_object('ip_address',
			audit_personal(known, 'audit_logs.metadata.ip_address:' || row_id, host(p_asker.address)));
	END IF;
	IF p_resource_type IN ('user', 'session') AND resource_name IS NOT NULL THEN -- their names are persons'
		metadata := metadata || jsonb_build_object('resource_name',
			audit_personal(subject, 'audit_logs.metadata.resource_name:' || row_id, resource_name));
		resource_name := NULL;
	END IF;
	INSERT INTO audit_logs(id, user_id, action, resource_type, resource_id, resource_name, old_value, new_value,
		ip_address, user_agent, session_id, request_id, status, error_message, metadata)
	VALUES (row_id, known, p_action, p_resource_type, left(p_resource_id, 255), resource_name,
		audit_redact(p_resource_type || 's', subject, 'audit_logs.old_value:' || row_id, p_old),
		audit_redact(p_resource_type || 's', subject, 'audit_logs.new_value:' || row_id, p_new),
		CASE WHEN known IS NULL THEN p_asker.address ELSE audit_network(p_asker.address) END,
		CASE WHEN known IS NULL THEN left(p_asker.user_agent, 1000)
			ELSE audit_personal(known, 'audit_logs.user_agent:' || row_id, left(p_asker.user_agent, 1000)) END,
		left(p_asker.session_id, 30), left(p_asker.request_id, 64), p_status, p_error, metadata);
END
$$;

-- One audit row in the caller's transaction. actor NULL: the asker; an actor that is no user is kept in the metadata.
CREATE FUNCTION audit_write(p_action text, p_resource_type text, p_resource_id text, p_resource_name text,
	p_old jsonb DEFAULT NULL, p_new jsonb DEFAULT NULL, p_status text DEFAULT 'success', p_error text DEFAULT NULL,
	p_metadata jsonb DEFAULT '{}', p_actor text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM audit_insert((coalesce(p_actor, app_user_id()), app_plugin(), app_address(), app_setting('app.user_agent'),
		app_setting('app.session_id'), app_setting('app.request_id'))::audit_asker,
		p_action, p_resource_type, p_resource_id, p_resource_name, p_old, p_new, p_status, p_error, p_metadata);
END
$$;

-- Erasure: what audit rows hold of this person is unreadable from here on, and nothing is kept of what comes. Irrevocable.
CREATE FUNCTION audit_forget(p_user varchar) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO audit_keys(user_id, forgotten_at) VALUES (p_user, now())
	ON CONFLICT (user_id) DO UPDATE SET secret_key = NULL, forgotten_at = coalesce(audit_keys.forgotten_at, now());
END
$$;

CREATE TABLE compliance_records (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	framework varchar(50) NOT NULL,
	control_id varchar(100) NOT NULL,
	control_name varchar(255),
	control_description text,
	status compliance_status NOT NULL,
	evidence jsonb NOT NULL DEFAULT '[]',
	findings text,
	remediation_plan text,
	assessor_id varchar(30) REFERENCES users,
	owner_id varchar(30) REFERENCES users,
	assessment_date date,
	due_date date,
	completed_date date,
	next_review_date date,
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX idx_compliance_due ON compliance_records (due_date);
CREATE INDEX idx_compliance_framework ON compliance_records (framework);
CREATE INDEX idx_compliance_status ON compliance_records (status);
CREATE TRIGGER compliance_records_updated_at BEFORE UPDATE ON compliance_records
	FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- Data-subject requests.
CREATE TABLE data_privacy_records (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	user_id varchar(30) NOT NULL REFERENCES users,
	request_type privacy_request_type NOT NULL,
	status request_status NOT NULL,
	requested_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	requested_by varchar(30) REFERENCES users,
	processed_at timestamptz,
	processed_by varchar(30) REFERENCES users,
	data_categories text[],
	systems_affected text[],
	result jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX idx_privacy_requested ON data_privacy_records (requested_at DESC);
CREATE INDEX idx_privacy_status ON data_privacy_records (status);
CREATE INDEX idx_privacy_type ON data_privacy_records (request_type);
CREATE INDEX idx_privacy_user ON data_privacy_records (user_id);
