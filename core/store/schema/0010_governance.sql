-- Tenants, classification, backup and recovery records.
SET LOCAL search_path = public, pg_temp;

-- Documents per tenant, one partition each; a tenant without partition is refused. job_tenant_create (0021) makes them.
CREATE TABLE tenant_data (
	id varchar(30) NOT NULL,
	tenant_id varchar(30) NOT NULL,
	data jsonb,
	PRIMARY KEY (tenant_id, id)
) PARTITION BY LIST (tenant_id);
CREATE TABLE tenant_data_acme PARTITION OF tenant_data FOR VALUES IN ('tenant_acme');
CREATE TABLE tenant_data_globex PARTITION OF tenant_data FOR VALUES IN ('tenant_globex');

-- Class and retention per column; column_name '*' means the whole table.
CREATE TABLE data_classification (
	table_name varchar(255) NOT NULL,
	column_name varchar(255) NOT NULL DEFAULT '*',
	classification data_classification_level NOT NULL,
	contains_pii boolean NOT NULL DEFAULT false,
	contains_phi boolean NOT NULL DEFAULT false,
	encryption_required boolean NOT NULL DEFAULT false,
	retention_days integer,
	PRIMARY KEY (table_name, column_name),
	CHECK (retention_days > 0)
);
INSERT INTO data_classification(table_name, column_name, classification, contains_pii, contains_phi, encryption_required, retention_days) VALUES
	('users', 'email', 'confidential', true, false, true, 2555),
	('users', 'password', 'restricted', false, false, true, 2555),
	('services', 'name', 'internal', false, false, false, 1095),
	('audit_logs', '*', 'confidential', false, false, true, 2555);

CREATE TABLE backup_validation (
	id serial PRIMARY KEY,
	backup_date date NOT NULL,
	backup_type varchar(50),
	validation_status varchar(50),
	validated_at timestamptz,
	validation_details jsonb,
	CHECK (backup_type IN ('full', 'incremental', 'wal'))
);
CREATE INDEX idx_backup_validation_date ON backup_validation (backup_date DESC);
-- Recovery drills, in minutes.
CREATE TABLE recovery_tests (
	id serial PRIMARY KEY,
	test_date date NOT NULL,
	recovery_type varchar(50),
	rto_target integer,
	rto_actual integer,
	rpo_target integer,
	rpo_actual integer,
	test_result varchar(50),
	notes text,
	CHECK (recovery_type IN ('full', 'pitr')),
	CHECK (rto_target >= 0),
	CHECK (rto_actual >= 0),
	CHECK (rpo_target >= 0),
	CHECK (rpo_actual >= 0)
);
CREATE INDEX idx_recovery_tests_date ON recovery_tests (test_date DESC);
