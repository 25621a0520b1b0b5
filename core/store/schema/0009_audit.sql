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
	PRIMARY KEY (id, created_at),
	CHECK (status IN ('success', 'failure', 'error'))
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_audit_logs_action ON audit_logs (action);
CREATE INDEX idx_audit_logs_created ON audit_logs (created_at DESC);
CREATE INDEX idx_audit_logs_resource ON audit_logs (resource_type, resource_id);
CREATE INDEX idx_audit_logs_status ON audit_logs (status);
CREATE INDEX idx_audit_logs_user_action_date ON audit_logs (user_id, action, created_at DESC);
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

-- A setting of the wrong form is not worth losing an audit row for.
CREATE FUNCTION app_address() RETURNS inet
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN app_setting('app.ip_address')::inet;
EXCEPTION WHEN invalid_text_representation THEN
	RETURN NULL;
END
$$;

-- One audit row in the caller's transaction. actor NULL: the asker; an actor that is no user is kept in the metadata.
CREATE FUNCTION audit_write(p_action text, p_resource_type text, p_resource_id text, p_resource_name text,
	p_old jsonb DEFAULT NULL, p_new jsonb DEFAULT NULL, p_status text DEFAULT 'success', p_error text DEFAULT NULL,
	p_metadata jsonb DEFAULT '{}', p_actor text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	actor text := coalesce(p_actor, app_user_id());
	known varchar := (SELECT id FROM users WHERE id = actor);
	metadata jsonb := coalesce(p_metadata, '{}');
BEGIN
	IF actor IS NOT NULL AND known IS NULL THEN
		metadata := metadata || jsonb_build_object('actor', actor);
	END IF;
	IF app_plugin() <> '' THEN
		metadata := metadata || jsonb_build_object('plugin', app_plugin());
	END IF;
	INSERT INTO audit_logs(user_id, action, resource_type, resource_id, resource_name, old_value, new_value,
		ip_address, user_agent, session_id, request_id, status, error_message, metadata)
	VALUES (known, p_action, p_resource_type, left(p_resource_id, 255), left(p_resource_name, 255), p_old, p_new,
		app_address(), left(app_setting('app.user_agent'), 1000), left(app_setting('app.session_id'), 30),
		left(app_setting('app.request_id'), 64), p_status, p_error, metadata);
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
