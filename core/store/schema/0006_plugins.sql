-- Plugins, their versions and installations.
SET LOCAL search_path = public, pg_temp;

-- One row per known plugin. status is derived from plugin_instances (0013): nobody writes it.
CREATE TABLE plugins (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	name varchar(255) NOT NULL,
	display_name varchar(255) NOT NULL,
	description text,
	long_description text,
	current_version varchar(50) NOT NULL,
	latest_version varchar(50),
	category varchar(100),
	tags text[] NOT NULL DEFAULT '{}',
	author jsonb,
	license varchar(50),
	homepage varchar(500),
	repository varchar(500),
	documentation varchar(500),
	install_count integer NOT NULL DEFAULT 0,
	rating numeric(2,1),
	rating_count integer NOT NULL DEFAULT 0,
	requirements jsonb NOT NULL DEFAULT '{}',
	dependencies jsonb NOT NULL DEFAULT '[]',
	peer_dependencies jsonb NOT NULL DEFAULT '[]',
	config_schema jsonb,
	default_config jsonb NOT NULL DEFAULT '{}',
	status plugin_status NOT NULL DEFAULT 'available',
	is_featured boolean NOT NULL DEFAULT false,
	is_verified boolean NOT NULL DEFAULT false,
	is_deprecated boolean NOT NULL DEFAULT false,
	vendor_id varchar(30),
	price jsonb,
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	published_at timestamptz,
	deprecated_at timestamptz,
	UNIQUE (name),
	CHECK (install_count >= 0),
	CHECK (rating >= 0 AND rating <= 5),
	CHECK (rating_count >= 0),
	CHECK (price ->> 'model' IN ('free', 'paid', 'subscription'))
);
CREATE INDEX idx_plugins_category ON plugins (category);
CREATE INDEX idx_plugins_category_status ON plugins (category, status) WHERE is_deprecated = false;
CREATE INDEX idx_plugins_featured ON plugins (is_featured);
CREATE INDEX idx_plugins_requirements_gin ON plugins USING gin (requirements);
CREATE INDEX idx_plugins_search ON plugins USING gin (to_tsvector('english', name || ' ' || COALESCE(description, '')));
CREATE INDEX idx_plugins_status ON plugins (status);
CREATE INDEX idx_plugins_tags ON plugins USING gin (tags);
ALTER TABLE plugins ALTER category SET STATISTICS 1000, ALTER status SET STATISTICS 1000, ALTER tags SET STATISTICS 1000;
CREATE TRIGGER plugins_updated_at BEFORE UPDATE ON plugins FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- The wish for one plugin in one environment, and what the environment runs. installed_digest stays NULL until a first commit;
-- till then installed_version equals the wish and counts for nothing. A reinstall updates the row.
CREATE TABLE plugin_installations (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	plugin_id varchar(30) NOT NULL REFERENCES plugins,
	environment varchar(50) NOT NULL,
	installed_version varchar(50) NOT NULL,
	previous_version varchar(50),
	installed_by varchar(30) REFERENCES users,
	installation_method varchar(50),
	config jsonb NOT NULL DEFAULT '{}',
	secrets jsonb NOT NULL DEFAULT '{}',
	health_status health_status NOT NULL DEFAULT 'unknown',
	health_check_url varchar(500),
	last_health_check timestamptz,
	health_metrics jsonb NOT NULL DEFAULT '{}',
	cpu_usage numeric(7,2),
	memory_usage integer,
	disk_usage integer,
	is_enabled boolean NOT NULL DEFAULT true,
	installed_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	disabled_at timestamptz,
	uninstalled_at timestamptz,
	wished_version varchar(50),
	wished_digest varchar(71) CHECK (wished_digest ~ '^sha256:[0-9a-f]{64}$'),
	installed_digest varchar(71) CHECK (installed_digest ~ '^sha256:[0-9a-f]{64}$'),
	granted_permissions text[] NOT NULL DEFAULT '{}',
	revision bigint NOT NULL DEFAULT 1,
	UNIQUE (plugin_id, environment),
	CHECK (installation_method IN ('ui', 'api', 'cli', 'auto')),
	CHECK (jsonb_typeof(secrets) = 'object' AND NOT jsonb_path_exists(secrets, '$.*?(!(@ starts with "enc:v1:"))') AND NOT jsonb_path_exists(secrets, '$.*?(@.type() != "string")')),
	CHECK (cpu_usage >= 0),
	CHECK (memory_usage >= 0),
	CHECK (disk_usage >= 0)
);
CREATE INDEX idx_plugin_installations_env ON plugin_installations (environment);
CREATE INDEX idx_plugin_installations_health ON plugin_installations (health_status);
CREATE TRIGGER plugin_installations_updated_at BEFORE UPDATE ON plugin_installations
	FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- Telemetry rewrites these rows every minute, a rotation seals the secrets anew; only a wish moves the revision, and only a revision wakes anyone.
CREATE FUNCTION bump_revision() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	NEW.revision := OLD.revision + 1;
	PERFORM pg_notify('mortise_wishes', NEW.environment);
	RETURN NEW;
END
$$;
CREATE TRIGGER plugin_installations_revision BEFORE UPDATE ON plugin_installations FOR EACH ROW
	WHEN ((OLD.wished_version, OLD.wished_digest, OLD.installed_version, OLD.installed_digest, OLD.config, OLD.is_enabled,
			OLD.granted_permissions, OLD.health_check_url, OLD.uninstalled_at)
		IS DISTINCT FROM (NEW.wished_version, NEW.wished_digest, NEW.installed_version, NEW.installed_digest, NEW.config, NEW.is_enabled,
			NEW.granted_permissions, NEW.health_check_url, NEW.uninstalled_at))
	EXECUTE FUNCTION bump_revision();

-- Releases. checksum is of the package file.
CREATE TABLE plugin_versions (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	plugin_id varchar(30) NOT NULL REFERENCES plugins,
	version varchar(50) NOT NULL,
	changelog text,
	release_notes text,
	breaking_changes boolean NOT NULL DEFAULT false,
	min_platform_version varchar(50),
	max_platform_version varchar(50),
	min_backstage_version varchar(50),
	max_backstage_version varchar(50),
	security_scan_status varchar(50),
	vulnerabilities jsonb NOT NULL DEFAULT '[]',
	package_url varchar(500),
	package_size bigint,
	checksum varchar(255),
	is_stable boolean NOT NULL DEFAULT true,
	is_beta boolean NOT NULL DEFAULT false,
	is_deprecated boolean NOT NULL DEFAULT false,
	released_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	deprecated_at timestamptz,
	UNIQUE (plugin_id, version),
	CHECK (package_size >= 0),
	CHECK (checksum ~ '^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$'),
	CHECK (package_url IS NULL OR checksum IS NOT NULL),
	CHECK (NOT (is_stable AND is_beta))
);
CREATE INDEX idx_plugin_versions_released ON plugin_versions (released_at DESC);
CREATE INDEX idx_plugin_versions_version ON plugin_versions (version);
