-- People, teams, sessions and keys.
SET LOCAL search_path = public, pg_temp;

-- One row per person or service account. provider 'plugin' (provider_id: the installation), 'team' (the team) and 'system' are
-- accounts that nobody logs in to. Deleted by deleted_at, erased in place. password_prehashed: Mortise made the hash, so what is longer
-- than 72 bytes was pre-hashed; a hash from elsewhere saw the first 72 bytes alone (core/identity/password.h).
CREATE TABLE users (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	email varchar(255) NOT NULL,
	name varchar(255) NOT NULL,
	username varchar(100),
	avatar varchar(500),
	provider varchar(50) NOT NULL,
	provider_id varchar(255) NOT NULL,
	password varchar(255),
	password_prehashed boolean NOT NULL DEFAULT false,
	role user_role NOT NULL DEFAULT 'DEVELOPER',
	is_active boolean NOT NULL DEFAULT true,
	last_login timestamptz,
	mfa_enabled boolean NOT NULL DEFAULT false,
	mfa_secret text,
	mfa_method varchar(20),
	mfa_backup_codes text[],
	phone_number varchar(20),
	preferences jsonb NOT NULL DEFAULT '{}',
	metadata jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	deleted_at timestamptz,
	CHECK (email LIKE '_%@_%'),
	CHECK (provider ~ '^[a-z][a-z0-9_-]*$'),
	CHECK (password ~ '^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$'),
	CHECK (mfa_secret LIKE 'enc:v1:%'),
	CHECK (mfa_method IN ('TOTP', 'SMS', 'EMAIL')),
	CHECK (array_to_string(mfa_backup_codes, ',', '') ~ '^([0-9a-f]{64}(,[0-9a-f]{64})*)?$'),
	CHECK (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
	CHECK ((provider = 'local') = (password IS NOT NULL) OR deleted_at IS NOT NULL),
	CHECK (NOT mfa_enabled OR mfa_method IS NOT NULL)
);
CREATE UNIQUE INDEX users_email_key ON users (lower(email)) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_username_key ON users (lower(username)) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_active ON users (is_active, deleted_at);
CREATE UNIQUE INDEX idx_users_provider ON users (provider, provider_id) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_role ON users (role);
CREATE TRIGGER users_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- Ownership groups, a tree. provider: the installation that made the team, NULL for people's.
CREATE TABLE teams (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	name varchar(100) NOT NULL,
	display_name varchar(255) NOT NULL,
	description text,
	avatar varchar(500),
	parent_team_id varchar(30) REFERENCES teams,
	settings jsonb NOT NULL DEFAULT '{}',
	metadata jsonb NOT NULL DEFAULT '{}',
	is_active boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	deleted_at timestamptz,
	provider varchar(100),
	CHECK (parent_team_id <> id)
);
CREATE UNIQUE INDEX teams_name_key ON teams (name) WHERE deleted_at IS NULL;
CREATE INDEX idx_teams_active ON teams (is_active, deleted_at);
CREATE INDEX idx_teams_parent ON teams (parent_team_id);
CREATE TRIGGER teams_updated_at BEFORE UPDATE ON teams FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- A cycle would make every walk up the tree endless; the CHECK has the shortest one. Parents change one after the other: of two
-- changes that would each make half of a cycle, the second sees the first.
CREATE FUNCTION refuse_team_cycle() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(7305009);
	IF EXISTS (
		WITH RECURSIVE up(id) AS (
			SELECT NEW.parent_team_id
			UNION
			SELECT t.parent_team_id FROM up JOIN teams t ON t.id = up.id WHERE t.parent_team_id IS NOT NULL
		)
		SELECT 1 FROM up WHERE up.id = NEW.id
	) THEN
		RAISE EXCEPTION 'team ''%'' would be its own ancestor', NEW.name USING ERRCODE = 'MU004';
	END IF;
	IF NOT EXISTS (SELECT 1 FROM teams WHERE id = NEW.parent_team_id AND deleted_at IS NULL) THEN
		RAISE EXCEPTION 'the parent of team ''%'' is gone', NEW.name USING ERRCODE = 'P0002';
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER teams_no_cycle BEFORE INSERT OR UPDATE OF parent_team_id ON teams
	FOR EACH ROW WHEN (NEW.parent_team_id <> NEW.id) EXECUTE FUNCTION refuse_team_cycle();

CREATE TABLE team_members (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	user_id varchar(30) NOT NULL REFERENCES users ON DELETE CASCADE,
	team_id varchar(30) NOT NULL REFERENCES teams ON DELETE CASCADE,
	role team_role NOT NULL DEFAULT 'MEMBER',
	joined_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	UNIQUE (user_id, team_id)
);
CREATE INDEX idx_team_members_role ON team_members (role);
CREATE INDEX idx_team_members_team ON team_members (team_id);
-- token and refresh_token are hex SHA-256; the tokens themselves are never stored. half: the password was right, the second factor is
-- owed. by_cookie: the tokens live in a browser's cookies and count nowhere else. A session is over at absolute_expires_at, and before
-- that when it was not used for idle_limit; a token lasts token_limit, then it is refreshed.
CREATE TABLE sessions (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	user_id varchar(30) NOT NULL REFERENCES users ON DELETE CASCADE,
	token varchar(500) NOT NULL,
	refresh_token varchar(500),
	ip_address inet,
	user_agent text,
	device_id varchar(100),
	device_name varchar(255),
	expires_at timestamptz NOT NULL,
	refresh_expires_at timestamptz,
	is_active boolean NOT NULL DEFAULT true,
	revoked_at timestamptz,
	revoked_reason varchar(255),
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	last_activity timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	half boolean NOT NULL DEFAULT false,
	by_cookie boolean NOT NULL DEFAULT false,
	absolute_expires_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP + interval '30 days',
	idle_limit interval NOT NULL DEFAULT interval '3 days',
	token_limit interval NOT NULL DEFAULT interval '1 hour',
	factor_failures integer NOT NULL DEFAULT 0,
	UNIQUE (refresh_token),
	UNIQUE (token),
	CHECK (token ~ '^[0-9a-f]{64}$'),
	CHECK (refresh_token ~ '^[0-9a-f]{64}$'),
	CHECK (expires_at > created_at),
	CHECK (revoked_at IS NULL OR NOT is_active)
);
CREATE INDEX idx_sessions_active ON sessions (is_active, expires_at);
CREATE INDEX idx_sessions_expires ON sessions (expires_at);
CREATE INDEX idx_sessions_user ON sessions (user_id);
-- key_hash is the hex SHA-256 of the whole key, key_prefix its first 10 characters. rate_limit is requests an hour, 0 unlimited.
-- operation_key is the Idempotency-Key that created_by made it with, operation_body the hash of what was asked for.
CREATE TABLE api_keys (
	id varchar(30) PRIMARY KEY DEFAULT generate_cuid(),
	user_id varchar(30) REFERENCES users ON DELETE CASCADE,
	team_id varchar(30) REFERENCES teams ON DELETE CASCADE,
	name varchar(255) NOT NULL,
	key_hash varchar(255) NOT NULL,
	key_prefix varchar(10) NOT NULL,
	scopes text[] NOT NULL DEFAULT ARRAY['read'],
	rate_limit integer NOT NULL DEFAULT 1000,
	allowed_ips inet[],
	allowed_origins text[],
	last_used_at timestamptz,
	usage_count bigint NOT NULL DEFAULT 0,
	expires_at timestamptz,
	is_active boolean NOT NULL DEFAULT true,
	revoked_at timestamptz,
	revoked_reason varchar(255),
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	created_by varchar(30) REFERENCES users ON DELETE SET NULL,
	operation_key varchar(64),
	operation_body varchar(64),
	UNIQUE (key_hash),
	UNIQUE (created_by, operation_key),
	CHECK (key_hash ~ '^[0-9a-f]{64}$'),
	CHECK (rate_limit >= 0),
	CHECK (usage_count >= 0),
	CHECK (user_id IS NOT NULL OR team_id IS NOT NULL),
	CHECK (revoked_at IS NULL OR NOT is_active)
);
CREATE INDEX idx_api_keys_active ON api_keys (is_active, expires_at);
CREATE INDEX idx_api_keys_prefix ON api_keys (key_prefix);
CREATE INDEX idx_api_keys_team ON api_keys (team_id);
CREATE INDEX idx_api_keys_user ON api_keys (user_id);
