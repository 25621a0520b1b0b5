-- Roles, extension, and the table of applied migrations.
--
-- Roles are cluster-wide: the databases of one cluster share them, so each step also holds when another
-- database did it before or does it at this moment (an advisory lock reaches one database only).
-- Passwords are the host's affair: a login without one cannot log in over SCRAM.
SET LOCAL search_path = public, pg_temp;

DO $$
BEGIN
	IF current_setting('server_version_num')::int < 150000 THEN
		RAISE EXCEPTION 'PostgreSQL % is too old', current_setting('server_version')
			USING ERRCODE = 'feature_not_supported', HINT = 'PostgreSQL 15 or newer is needed.';
	END IF;
	IF current_setting('server_encoding') <> 'UTF8' THEN
		RAISE EXCEPTION 'database encoding is ''%''', current_setting('server_encoding')
			USING ERRCODE = 'feature_not_supported', HINT = 'Create the database with ENCODING ''UTF8''.';
	END IF;
	IF NOT has_schema_privilege('public', 'CREATE') THEN
		RAISE EXCEPTION 'role ''%'' may not create tables in schema ''public''', current_user
			USING ERRCODE = 'insufficient_privilege',
			HINT = format('GRANT CREATE ON SCHEMA public TO %I, or make it the owner of the database.', current_user);
	END IF;
	IF NOT has_database_privilege(current_database(), 'CREATE') THEN
		RAISE EXCEPTION 'role ''%'' may not create extensions in database ''%''', current_user, current_database()
			USING ERRCODE = 'insufficient_privilege',
			HINT = format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user);
	END IF;
END
$$;

CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;

DO $$
DECLARE
	place name := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'pgcrypto');
BEGIN
	IF place <> 'public' THEN
		RAISE EXCEPTION 'extension ''pgcrypto'' is in schema ''%''', place
			USING ERRCODE = 'feature_not_supported', HINT = 'ALTER EXTENSION pgcrypto SET SCHEMA public';
	END IF;
END
$$;

-- Two migrations of one database wait for each other here; two databases of one cluster meet in the handlers below.
SELECT pg_advisory_xact_lock(7305001);

DO $$
DECLARE
	wanted record;
	found pg_roles;
BEGIN
	FOR wanted IN
		SELECT * FROM (VALUES
			('application_role', 'NOLOGIN'),
			('mortise_supervisor', 'LOGIN'),
			('mortise_front', 'LOGIN')) v(name, login)
	LOOP
		SELECT * INTO found FROM pg_roles WHERE rolname = wanted.name;
		IF found.oid IS NULL THEN
			BEGIN
				EXECUTE format('CREATE ROLE %I %s INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS',
					wanted.name, wanted.login);
			EXCEPTION
				WHEN duplicate_object OR unique_violation THEN
					NULL; -- another database's migration was faster
				WHEN insufficient_privilege THEN
					RAISE EXCEPTION 'role ''%'' may not create role ''%''', current_user, wanted.name
						USING ERRCODE = 'insufficient_privilege', HINT = format('ALTER ROLE %I CREATEROLE', current_user);
			END;
		ELSIF found.rolsuper OR found.rolbypassrls OR found.rolcreaterole THEN
			RAISE EXCEPTION 'role ''%'' has rights that would bypass row-level security', wanted.name
				USING ERRCODE = 'invalid_role_specification',
				HINT = format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE', wanted.name);
		END IF;
	END LOOP;

	-- The front asks as application_role; the owner is a member so that it can check what application_role may do.
	FOR wanted IN SELECT unnest(ARRAY['mortise_front', current_user::text]) AS name LOOP
		CONTINUE WHEN EXISTS (SELECT 1 FROM pg_auth_members
			WHERE roleid = 'application_role'::regrole AND member = wanted.name::regrole);
		BEGIN
			EXECUTE format('GRANT application_role TO %I', wanted.name);
		EXCEPTION
			WHEN unique_violation OR internal_error THEN
				NULL; -- "tuple concurrently updated": another migration of this cluster granted it
			WHEN insufficient_privilege THEN
				RAISE EXCEPTION 'role ''%'' may not grant ''application_role'' to ''%''', current_user, wanted.name
					USING ERRCODE = 'insufficient_privilege',
					HINT = format('GRANT application_role TO %I WITH ADMIN OPTION', current_user);
		END;
	END LOOP;

	IF pg_has_role('mortise_supervisor', 'application_role', 'MEMBER') THEN
		RAISE EXCEPTION 'role ''mortise_supervisor'' is a member of ''application_role'''
			USING ERRCODE = 'invalid_role_specification', HINT = 'REVOKE application_role FROM mortise_supervisor';
	END IF;
END
$$;

-- Functions are born for nobody; 0030 says who may call which. Applies to what this owner makes from here on.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What was applied, and the SHA-256 of the bytes it was.
CREATE TABLE schema_migrations (
	number integer PRIMARY KEY CHECK (number > 0),
	name text NOT NULL,
	sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
	applied_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
