-- Services, their relationships and deployments.
SET LOCAL search_path = public, pg_temp;

-- Catalog entities. provider and provider_key: who imported the row, and its name there; NULL for people's rows. A removed row
-- keeps them, so that what comes back gets its old id. The fill factor leaves room for depends_on, which follows the insert.
CREATE TABLE services (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	name varchar(255) NOT NULL,
	display_name varchar(255) NOT NULL,
	description text,
	type service_type NOT NULL,
	lifecycle lifecycle_stage NOT NULL DEFAULT 'production',
	tier varchar(50),
	owner_id varchar(30) REFERENCES users,
	team_id varchar(30) REFERENCES teams,
	repository_url varchar(500),
	documentation_url varchar(500),
	api_spec_url varchar(500),
	tags text[] NOT NULL DEFAULT '{}',
	labels jsonb NOT NULL DEFAULT '{}',
	annotations jsonb NOT NULL DEFAULT '{}',
	metadata jsonb NOT NULL DEFAULT '{}',
	health_status health_status NOT NULL DEFAULT 'unknown',
	health_check_url varchar(500),
	last_health_check timestamptz,
	sla jsonb NOT NULL DEFAULT '{}',
	metrics jsonb NOT NULL DEFAULT '{}',
	depends_on text[] NOT NULL DEFAULT '{}',
	compliance_status jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	deleted_at timestamptz,
	provider varchar(100),
	provider_key varchar(512),
	CHECK (provider_key IS NULL OR provider IS NOT NULL)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX services_name_key ON services (name) WHERE deleted_at IS NULL;
CREATE INDEX idx_services_lifecycle ON services (lifecycle);
CREATE INDEX idx_services_metadata_gin ON services USING gin (metadata);
CREATE INDEX idx_services_owner ON services (owner_id);
CREATE INDEX idx_services_search ON services USING gin (to_tsvector('english', name || ' ' || COALESCE(description, '')));
CREATE INDEX idx_services_tags ON services USING gin (tags);
CREATE INDEX idx_services_team ON services (team_id);
CREATE INDEX idx_services_team_lifecycle ON services (team_id, lifecycle) WHERE deleted_at IS NULL;
CREATE INDEX idx_services_type ON services (type);
CREATE UNIQUE INDEX services_provider_key ON services (provider, provider_key) WHERE provider_key IS NOT NULL;
ALTER TABLE services ALTER team_id SET STATISTICS 1000, ALTER type SET STATISTICS 1000,
	ALTER lifecycle SET STATISTICS 1000, ALTER tags SET STATISTICS 1000;
CREATE TRIGGER services_updated_at BEFORE UPDATE ON services FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

CREATE TABLE service_relationships (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	source_id varchar(30) NOT NULL REFERENCES services ON DELETE CASCADE,
	target_id varchar(30) NOT NULL REFERENCES services ON DELETE CASCADE,
	relationship_type relationship_type NOT NULL,
	metadata jsonb NOT NULL DEFAULT '{}',
	strength numeric(3,2),
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	validated_at timestamptz,
	provider varchar(100),
	UNIQUE (source_id, target_id, relationship_type),
	CHECK (strength >= 0 AND strength <= 1),
	CHECK (source_id <> target_id)
);
CREATE INDEX idx_service_relationships_target ON service_relationships (target_id);
CREATE INDEX idx_service_relationships_type ON service_relationships (relationship_type);
CREATE INDEX service_relationships_provider ON service_relationships (provider) WHERE provider IS NOT NULL;
CREATE TABLE service_deployments (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	service_id varchar(30) NOT NULL REFERENCES services,
	environment varchar(50) NOT NULL,
	version varchar(50) NOT NULL,
	commit_sha varchar(64),
	build_number varchar(50),
	deployed_by varchar(30) REFERENCES users,
	deployment_method varchar(50),
	status deployment_status NOT NULL,
	health_status health_status,
	previous_version varchar(50),
	can_rollback boolean NOT NULL DEFAULT true,
	startup_time integer,
	deployment_duration integer,
	deployed_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	completed_at timestamptz,
	rolled_back_at timestamptz,
	CHECK (commit_sha ~ '^[0-9a-f]{7,64}$'),
	CHECK (deployment_method IN ('manual', 'ci/cd', 'gitops')),
	CHECK (startup_time >= 0),
	CHECK (deployment_duration >= 0)
);
CREATE INDEX idx_service_deployments_deployed ON service_deployments (deployed_at DESC);
CREATE INDEX idx_service_deployments_env ON service_deployments (environment);
CREATE INDEX idx_service_deployments_service ON service_deployments (service_id);
CREATE INDEX idx_service_deployments_status ON service_deployments (status);

-- services.depends_on is derived. Per statement, so that a batch of thousands costs one update; SECURITY DEFINER, since the
-- asker may not see every target of a source that he may write.
CREATE FUNCTION derive_depends_on() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	sources varchar[];
BEGIN
	IF TG_OP = 'INSERT' THEN
		sources := ARRAY(SELECT DISTINCT source_id FROM fresh WHERE relationship_type = 'depends_on');
	ELSIF TG_OP = 'DELETE' THEN
		sources := ARRAY(SELECT DISTINCT source_id FROM gone WHERE relationship_type = 'depends_on');
	ELSE
		sources := ARRAY(SELECT source_id FROM fresh WHERE relationship_type = 'depends_on'
			UNION SELECT source_id FROM gone WHERE relationship_type = 'depends_on');
	END IF;
	IF cardinality(sources) = 0 THEN
		RETURN NULL;
	END IF;
	-- In id order: two imports that touch the same services must not deadlock.
	PERFORM 1 FROM services WHERE id = ANY (sources) ORDER BY id FOR NO KEY UPDATE;
	-- The cast keeps the index on the type away, which on a table without statistics looks as good as the one on the source.
	UPDATE services s SET depends_on = derived.ids
	FROM (
		SELECT source.id, coalesce(array_agg(r.target_id::text ORDER BY r.target_id) FILTER (WHERE r.target_id IS NOT NULL), '{}') AS ids
		FROM unnest(sources) AS source(id)
		LEFT JOIN service_relationships r ON r.source_id = source.id AND r.relationship_type::text = 'depends_on'
		GROUP BY source.id
	) derived
	WHERE s.id = derived.id AND s.depends_on IS DISTINCT FROM derived.ids;
	RETURN NULL;
END
$$;
CREATE TRIGGER depends_on_insert AFTER INSERT ON service_relationships
	REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION derive_depends_on();
CREATE TRIGGER depends_on_update AFTER UPDATE ON service_relationships
	REFERENCING OLD TABLE AS gone NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION derive_depends_on();
CREATE TRIGGER depends_on_delete AFTER DELETE ON service_relationships
	REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION derive_depends_on();
