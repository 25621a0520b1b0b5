-- Users, teams and members, as their administrators change them.
--
-- Users are changed by functions alone (SECURITY DEFINER: the front may not read password hashes, nor other people's e-mail addresses), and
-- each decides itself who may. Teams and members are changed through the policies below; the functions add what a policy cannot say.
-- Refusals: 42501 not the asker's to do, P0002 unknown, 22023 no such value, MZ012 the name is taken, MC003 it is so already, MU001 the row
-- is not the one that the asker had seen, MU002 the last administrator, MU003 the last owner, MU004 a team would be its own ancestor, MU005
-- the team is needed.
SET LOCAL search_path = public, pg_temp;

-- ---- users ---------------------------------------------------------------------------------------------------------------------------

-- What may be shown of a user, in the order of lists.
CREATE TYPE user_facts AS (id varchar, name varchar, username varchar, avatar varchar, email varchar, phone_number varchar, provider varchar,
	provider_id varchar, role user_role, is_active boolean, mfa_enabled boolean, preferences jsonb, last_login timestamptz,
	created_at timestamptz, updated_at timestamptz, teams jsonb, position text);

CREATE FUNCTION user_position(p_name text, p_id text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT lower(p_name) || chr(1) || p_id $$;
CREATE INDEX users_position ON users (user_position(name, id) COLLATE "C") WHERE deleted_at IS NULL;

-- p_all: what only he himself and administrators read is there too.
CREATE FUNCTION user_facts_of(u users, p_all boolean) RETURNS user_facts
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT u.id, u.name, u.username, u.avatar, CASE WHEN p_all THEN u.email END, CASE WHEN p_all THEN u.phone_number END, u.provider,
		CASE WHEN p_all THEN u.provider_id END, u.role, u.is_active, CASE WHEN p_all THEN u.mfa_enabled END,
		CASE WHEN p_all THEN u.preferences END, CASE WHEN p_all THEN u.last_login END, u.created_at, u.updated_at,
		(SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.name, 'role', m.role) ORDER BY t.name), '[]')
			FROM team_members m JOIN teams t ON t.id = m.team_id WHERE m.user_id = u.id AND t.deleted_at IS NULL),
		user_position(u.name, u.id)
$$;

-- The user of that id, else of that name.
CREATE FUNCTION user_find(p_user text) RETURNS users
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	u users;
BEGIN
	SELECT * INTO u FROM users WHERE id = p_user AND deleted_at IS NULL;
	IF u.id IS NULL THEN
		SELECT * INTO u FROM users WHERE lower(username) = lower(p_user) AND deleted_at IS NULL;
	END IF;
	IF u.id IS NULL THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002', HINT = '''mortise user list'' shows who there is.';
	END IF;
	RETURN u;
END
$$;

CREATE FUNCTION user_get(p_user text) RETURNS SETOF user_facts
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
BEGIN
	IF app_is_known() THEN
		u := user_find(p_user);
		RETURN NEXT user_facts_of(u, u.id = app_user_id() OR app_is_admin());
	END IF;
END
$$;

-- p_q: a part of the name, the username or (for administrators) the e-mail address. Accounts of plugins and teams come when asked for.
CREATE FUNCTION users_list(p_after text, p_limit integer, p_q text, p_role user_role, p_active boolean, p_team text, p_provider text)
	RETURNS SETOF user_facts
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	admin constant boolean := app_is_admin();
	q constant text := lower(p_q);
BEGIN
	IF NOT app_is_known() THEN
		RETURN;
	END IF;
	RETURN QUERY SELECT f.* FROM users u, LATERAL user_facts_of(u, admin OR u.id = app_user_id()) f
	WHERE u.deleted_at IS NULL AND user_position(u.name, u.id) COLLATE "C" > coalesce(p_after, '')
		AND (q IS NULL OR strpos(lower(u.name), q) > 0 OR strpos(lower(u.username), q) > 0 OR (admin AND strpos(lower(u.email), q) > 0))
		AND (p_role IS NULL OR u.role = p_role) AND (p_active IS NULL OR u.is_active = p_active)
		AND CASE WHEN p_provider IS NULL THEN u.provider NOT IN ('plugin', 'team') ELSE u.provider = p_provider END
		AND (p_team IS NULL OR EXISTS (SELECT 1 FROM team_members m JOIN teams t ON t.id = m.team_id
			WHERE m.user_id = u.id AND t.name = p_team AND t.deleted_at IS NULL))
	ORDER BY user_position(u.name, u.id) COLLATE "C" LIMIT p_limit;
END
$$;

-- A person changes of himself what gives him no right and receives no code; the rest is an administrator's.
CREATE FUNCTION user_is_own_to_change(p_member text) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$ SELECT p_member IN ('name', 'avatar', 'preferences') $$;

-- To be called under the lock 7305010: of two administrators who each take the other's role away, the second waits, and then sees that he
-- is the last.
CREATE FUNCTION user_keep_one_admin(u users) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM users WHERE role = 'ADMIN' AND is_active AND deleted_at IS NULL AND id <> u.id) THEN
		RAISE EXCEPTION '''%'' is the last active administrator', u.name USING ERRCODE = 'MU002';
	END IF;
END
$$;

CREATE FUNCTION user_refuse_unless_admin(p_what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	IF app_plugin() <> '' OR NOT app_is_admin() THEN
		RAISE EXCEPTION '% takes the role ADMIN', p_what USING ERRCODE = '42501';
	END IF;
END
$$;

-- Which unique index refused, in words.
CREATE FUNCTION user_refuse_taken(p_index text, p_user jsonb) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RAISE EXCEPTION '%', CASE p_index WHEN 'users_username_key' THEN format('the username ''%s'' is taken', p_user->>'username')
		WHEN 'users_email_key' THEN 'another user has that e-mail address' ELSE 'the provider''s account belongs to another user' END
		USING ERRCODE = 'MZ012', HINT = 'Choose another, or change the user that has it.';
END
$$;

-- p_user has members named like the columns. p_password is a hash, of local users only.
CREATE FUNCTION user_create(p_user jsonb, p_password text) RETURNS SETOF user_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	v_id constant varchar := generate_cuid();
	v_provider constant text := coalesce(p_user->>'provider', 'local');
	v_index text;
BEGIN
	PERFORM user_refuse_unless_admin('making users');
	IF v_provider IN ('system', 'plugin', 'team') THEN
		RAISE EXCEPTION 'accounts of provider ''%'' are made by the host alone', v_provider USING ERRCODE = '22023';
	END IF;
	IF (v_provider = 'local') <> (p_password IS NOT NULL) OR (v_provider = 'local') <> (p_user->>'provider_id' IS NULL) THEN
		RAISE EXCEPTION 'a local user has a password and no provider_id, any other a provider_id and no password' USING ERRCODE = '22023';
	END IF;
	INSERT INTO users(id, email, name, username, avatar, phone_number, provider, provider_id, password, password_prehashed, role, preferences)
	VALUES (v_id, p_user->>'email', p_user->>'name', p_user->>'username', p_user->>'avatar', p_user->>'phone_number', v_provider,
		coalesce(p_user->>'provider_id', v_id), p_password, p_password IS NOT NULL, coalesce(p_user->>'role', 'DEVELOPER')::user_role,
		coalesce(p_user->'preferences', '{}'))
	RETURNING * INTO u;
	PERFORM audit_write('user.create', 'user', u.id, u.name, p_new => p_user || jsonb_build_object('provider', v_provider, 'role', u.role));
	RETURN NEXT user_facts_of(u, true);
EXCEPTION WHEN unique_violation THEN
	GET STACKED DIAGNOSTICS v_index = CONSTRAINT_NAME;
	PERFORM user_refuse_taken(v_index, p_user);
END
$$;

-- p_patch: members that are there are set, null clears. p_seen: updated_at of the row that the asker has seen, NULL for any.
CREATE FUNCTION user_change(p_user text, p_patch jsonb, p_seen timestamptz) RETURNS SETOF user_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	fresh users;
	v_index text;
	v_role constant user_role := p_patch->>'role';
BEGIN
	IF v_role IS NOT NULL THEN
		PERFORM pg_advisory_xact_lock(7305010);
	END IF;
	u := user_find(p_user);
	IF app_plugin() <> '' OR NOT app_is_known() OR NOT (app_is_admin() OR (u.id = app_user_id()
		AND NOT EXISTS (SELECT 1 FROM jsonb_object_keys(p_patch) k WHERE NOT user_is_own_to_change(k)))) THEN
		RAISE EXCEPTION 'of himself a user changes name, avatar and preferences; everything else takes the role ADMIN' USING ERRCODE = '42501';
	END IF;
	IF v_role <> 'ADMIN' AND u.role = 'ADMIN' AND u.is_active THEN
		PERFORM user_keep_one_admin(u);
	END IF;
	SELECT * INTO u FROM users WHERE id = u.id AND deleted_at IS NULL FOR UPDATE;
	IF u.id IS NULL THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002';
	END IF;
	IF u.updated_at <> p_seen THEN
		RAISE EXCEPTION 'user ''%'' has changed since', p_user USING ERRCODE = 'MU001';
	END IF;
	IF u.provider IN ('plugin', 'team') THEN
		RAISE EXCEPTION '''%'' is the account of a %, which the host keeps', u.name, u.provider USING ERRCODE = 'MZ013';
	END IF;
	fresh := jsonb_populate_record(u, p_patch);
	fresh.preferences := coalesce(fresh.preferences, '{}');
	IF fresh = u THEN
		RETURN NEXT user_facts_of(u, true);
		RETURN;
	END IF;
	UPDATE users SET name = fresh.name, username = fresh.username, avatar = fresh.avatar, email = fresh.email,
		phone_number = fresh.phone_number, role = fresh.role, preferences = fresh.preferences WHERE id = u.id RETURNING * INTO fresh;
	PERFORM audit_write('user.change', 'user', u.id, u.name,
		p_old => (SELECT jsonb_object_agg(k, to_jsonb(u)->k) FROM jsonb_object_keys(p_patch) k),
		p_new => (SELECT jsonb_object_agg(k, to_jsonb(fresh)->k) FROM jsonb_object_keys(p_patch) k));
	RETURN NEXT user_facts_of(fresh, true);
EXCEPTION WHEN unique_violation THEN
	GET STACKED DIAGNOSTICS v_index = CONSTRAINT_NAME;
	PERFORM user_refuse_taken(v_index, p_patch);
END
$$;

-- Sessions end with the right to log in; keys count for nothing while their owner is inactive, and are back with him.
CREATE FUNCTION user_activate(p_user text, p_active boolean, p_reason text) RETURNS SETOF user_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	v_sessions integer := 0;
BEGIN
	PERFORM user_refuse_unless_admin(CASE WHEN p_active THEN 'activating users' ELSE 'deactivating users' END);
	PERFORM pg_advisory_xact_lock(7305010);
	u := user_find(p_user);
	IF u.provider IN ('plugin', 'team') THEN
		RAISE EXCEPTION '''%'' is the account of a %, which the host keeps', u.name, u.provider USING ERRCODE = 'MZ013';
	END IF;
	IF u.role = 'ADMIN' AND NOT p_active THEN
		PERFORM user_keep_one_admin(u);
	END IF;
	UPDATE users SET is_active = p_active WHERE id = u.id AND is_active <> p_active AND deleted_at IS NULL RETURNING * INTO u;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'user ''%'' is % already', p_user, CASE WHEN p_active THEN 'active' ELSE 'inactive' END USING ERRCODE = 'MC003';
	END IF;
	IF NOT p_active THEN
		UPDATE sessions SET is_active = false, revoked_at = now(), revoked_reason = 'the user was deactivated'
		WHERE user_id = u.id AND revoked_at IS NULL;
		GET DIAGNOSTICS v_sessions = ROW_COUNT;
	END IF;
	PERFORM audit_write(CASE WHEN p_active THEN 'user.activate' ELSE 'user.deactivate' END, 'user', u.id, u.name,
		p_old => jsonb_build_object('is_active', NOT p_active), p_new => jsonb_build_object('is_active', p_active),
		p_metadata => jsonb_strip_nulls(jsonb_build_object('reason', p_reason, 'sessions_ended', v_sessions)));
	RETURN NEXT user_facts_of(u, true);
END
$$;

-- The row stays, for what names it; names and addresses are free again, sessions and keys end, the second factor is gone.
CREATE FUNCTION user_delete(p_user text, p_reason text) RETURNS varchar
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	v_teams text;
	v_sessions integer;
	v_keys integer;
BEGIN
	PERFORM user_refuse_unless_admin('deleting users');
	PERFORM pg_advisory_xact_lock(7305010);
	u := user_find(p_user);
	IF u.provider IN ('plugin', 'team') THEN
		RAISE EXCEPTION '''%'' is the account of a %, which the host keeps', u.name, u.provider USING ERRCODE = 'MZ013';
	END IF;
	IF u.role = 'ADMIN' AND u.is_active THEN
		PERFORM user_keep_one_admin(u);
	END IF;
	-- The teams first, as every change of members does, so that two owners who leave at once see each other.
	PERFORM 1 FROM teams t WHERE id IN (SELECT team_id FROM team_members WHERE user_id = u.id) ORDER BY id FOR UPDATE;
	SELECT string_agg(format('''%s''', t.name), ', ' ORDER BY t.name) INTO v_teams FROM team_members m JOIN teams t ON t.id = m.team_id
	WHERE m.user_id = u.id AND m.role = 'OWNER' AND t.deleted_at IS NULL AND NOT team_has_other_owner(t.id, u.id);
	IF v_teams IS NOT NULL THEN
		RAISE EXCEPTION '''%'' is the last owner of %', u.name, v_teams USING ERRCODE = 'MU003';
	END IF;
	UPDATE users SET deleted_at = now(), is_active = false, mfa_enabled = false, mfa_method = NULL, mfa_secret = NULL, mfa_backup_codes = NULL
	WHERE id = u.id AND deleted_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002';
	END IF;
	DELETE FROM team_members WHERE user_id = u.id;
	UPDATE sessions SET is_active = false, revoked_at = now(), revoked_reason = 'the user was deleted' WHERE user_id = u.id AND revoked_at IS NULL;
	GET DIAGNOSTICS v_sessions = ROW_COUNT;
	UPDATE api_keys SET is_active = false, revoked_at = now(), revoked_reason = 'the user was deleted' WHERE user_id = u.id AND revoked_at IS NULL;
	GET DIAGNOSTICS v_keys = ROW_COUNT;
	PERFORM audit_write('user.delete', 'user', u.id, u.name,
		p_metadata => jsonb_strip_nulls(jsonb_build_object('reason', p_reason, 'sessions_ended', v_sessions, 'keys_revoked', v_keys)));
	RETURN u.id;
END
$$;

-- ---- who may write teams -------------------------------------------------------------------------------------------------------------

-- The asker's teams in which he has that role.
CREATE FUNCTION app_team_ids(p_role team_role) RETURNS SETOF varchar
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT m.team_id FROM team_members m JOIN users u ON u.id = m.user_id
		WHERE m.user_id = app_user_id() AND m.role = p_role AND u.is_active AND u.deleted_at IS NULL;
END
$$;

CREATE POLICY teams_owner_update ON teams FOR UPDATE TO application_role USING (id = ANY (ARRAY(SELECT app_team_ids('OWNER'))));

-- Members: everyone known reads; elevated people and owners write all, maintainers all but owners, everyone may leave. Plugins write none.
ALTER TABLE team_members ENABLE ROW LEVEL SECURITY;
CREATE POLICY members_read ON team_members FOR SELECT TO application_role USING ((SELECT app_is_known()));
DO $$
DECLARE
	p record;
BEGIN
	FOR p IN SELECT * FROM (VALUES
		('members_elevated', '((SELECT app_is_elevated()))'),
		('members_owner', '(team_id = ANY (ARRAY(SELECT app_team_ids(''OWNER''))))'),
		('members_maintainer', '(role <> ''OWNER'' AND team_id = ANY (ARRAY(SELECT app_team_ids(''MAINTAINER''))))')) v(name, holds)
	LOOP
		EXECUTE format('CREATE POLICY %s_insert ON team_members FOR INSERT TO application_role WITH CHECK %s', p.name, p.holds);
		EXECUTE format('CREATE POLICY %s_update ON team_members FOR UPDATE TO application_role USING %s WITH CHECK %s', p.name, p.holds, p.holds);
		EXECUTE format('CREATE POLICY %s_delete ON team_members FOR DELETE TO application_role USING %s', p.name, p.holds);
	END LOOP;
END
$$;
CREATE POLICY members_leave ON team_members FOR DELETE TO application_role USING (user_id = (SELECT app_user_id()) AND (SELECT app_is_known()));
CREATE POLICY no_plugin_insert ON team_members AS RESTRICTIVE FOR INSERT TO application_role WITH CHECK ((SELECT app_plugin()) = '');
CREATE POLICY no_plugin_update ON team_members AS RESTRICTIVE FOR UPDATE TO application_role USING ((SELECT app_plugin()) = '');
CREATE POLICY no_plugin_delete ON team_members AS RESTRICTIVE FOR DELETE TO application_role USING ((SELECT app_plugin()) = '');

-- An owner who cannot log in cannot help the team.
CREATE FUNCTION team_has_other_owner(p_team text, p_user text) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM team_members m JOIN users u ON u.id = m.user_id
		WHERE m.team_id = p_team AND m.user_id <> p_user AND m.role = 'OWNER' AND u.is_active AND u.deleted_at IS NULL);
END
$$;

-- Whoever writes: a team that has an owner keeps one. SECURITY DEFINER to lock the team, whose row is not the asker's to write.
CREATE FUNCTION team_keep_one_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	v_team text;
BEGIN
	SELECT name INTO v_team FROM teams WHERE id = OLD.team_id AND deleted_at IS NULL FOR UPDATE;
	IF v_team IS NOT NULL AND EXISTS (SELECT 1 FROM users WHERE id = OLD.user_id AND deleted_at IS NULL)
		AND NOT team_has_other_owner(OLD.team_id, OLD.user_id) THEN
		RAISE EXCEPTION 'team ''%'' would be left without an owner', v_team USING ERRCODE = 'MU003';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
CREATE TRIGGER team_members_owner_leaves BEFORE DELETE ON team_members FOR EACH ROW WHEN (OLD.role = 'OWNER')
	EXECUTE FUNCTION team_keep_one_owner();
CREATE TRIGGER team_members_owner_changes BEFORE UPDATE ON team_members FOR EACH ROW
	WHEN (OLD.role = 'OWNER' AND (NEW.role <> 'OWNER' OR NEW.user_id <> OLD.user_id OR NEW.team_id <> OLD.team_id))
	EXECUTE FUNCTION team_keep_one_owner();

-- A team that is gone has no members, and its keys and its account end.
CREATE FUNCTION team_ended() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	DELETE FROM team_members WHERE team_id = NEW.id;
	UPDATE api_keys SET is_active = false, revoked_at = now(), revoked_reason = 'the team was deleted' WHERE team_id = NEW.id AND revoked_at IS NULL;
	UPDATE users SET deleted_at = now(), is_active = false WHERE provider = 'team' AND provider_id = NEW.id AND deleted_at IS NULL;
	RETURN NULL;
END
$$;
CREATE TRIGGER teams_ended AFTER UPDATE OF deleted_at ON teams FOR EACH ROW
	WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION team_ended();

-- ---- teams ---------------------------------------------------------------------------------------------------------------------------

CREATE TYPE team_facts AS (id varchar, name varchar, display_name varchar, description text, avatar varchar, parent varchar, settings jsonb,
	metadata jsonb, is_active boolean, provider varchar, members bigint, created_at timestamptz, updated_at timestamptz);

CREATE FUNCTION team_facts_of(t teams) RETURNS team_facts
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT t.id, t.name, t.display_name, t.description, t.avatar, (SELECT p.name FROM teams p WHERE p.id = t.parent_team_id), t.settings,
		t.metadata, t.is_active, t.provider, (SELECT count(*) FROM team_members m WHERE m.team_id = t.id), t.created_at, t.updated_at
$$;

CREATE FUNCTION team_find(p_team text) RETURNS teams
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	t teams;
BEGIN
	SELECT * INTO t FROM teams WHERE name = p_team AND deleted_at IS NULL;
	IF t.id IS NULL THEN
		RAISE EXCEPTION 'there is no team ''%''', p_team USING ERRCODE = 'P0002', HINT = '''mortise team list'' shows which there are.';
	END IF;
	RETURN t;
END
$$;

CREATE FUNCTION team_get(p_team text) RETURNS SETOF team_facts
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN NEXT team_facts_of(team_find(p_team));
END
$$;

-- p_member: a user's id.
CREATE FUNCTION teams_list(p_after text, p_limit integer, p_q text, p_parent text, p_member text) RETURNS SETOF team_facts
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT f.* FROM teams t LEFT JOIN teams p ON p.id = t.parent_team_id, LATERAL team_facts_of(t) f
	WHERE t.deleted_at IS NULL AND t.name > coalesce(p_after, '')
		AND (p_q IS NULL OR strpos(lower(t.name), lower(p_q)) > 0 OR strpos(lower(t.display_name), lower(p_q)) > 0)
		AND (p_parent IS NULL OR p.name = p_parent)
		AND (p_member IS NULL OR EXISTS (SELECT 1 FROM team_members m WHERE m.team_id = t.id AND m.user_id = p_member))
	ORDER BY t.name LIMIT p_limit
$$;

-- p_team as in user_create; `parent` names a team, `owner` a user ('' for none).
CREATE FUNCTION team_create(p_team jsonb) RETURNS SETOF team_facts
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t teams;
	owner users;
BEGIN
	IF app_plugin() <> '' OR NOT app_is_elevated() THEN
		RAISE EXCEPTION 'making teams takes the role PLATFORM_ENGINEER' USING ERRCODE = '42501';
	END IF;
	INSERT INTO teams(name, display_name, description, avatar, parent_team_id, settings, metadata)
	VALUES (p_team->>'name', coalesce(p_team->>'display_name', p_team->>'name'), p_team->>'description', p_team->>'avatar',
		CASE WHEN p_team->>'parent' IS NOT NULL THEN (team_find(p_team->>'parent')).id END, coalesce(p_team->'settings', '{}'),
		coalesce(p_team->'metadata', '{}'))
	RETURNING * INTO t;
	PERFORM audit_write('team.create', 'team', t.id, t.name, p_new => p_team - 'owner');
	IF p_team->>'owner' IS NOT NULL THEN
		PERFORM member_add(t.name, p_team->>'owner', 'OWNER');
	END IF;
	RETURN NEXT team_facts_of(t);
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION 'there is a team ''%'' already', p_team->>'name' USING ERRCODE = 'MZ012', HINT = 'Choose another name.';
END
$$;

CREATE FUNCTION team_change(p_team text, p_patch jsonb, p_seen timestamptz) RETURNS SETOF team_facts
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t teams := team_find(p_team);
	seen teams;
	fresh teams;
BEGIN
	fresh := jsonb_populate_record(t, p_patch);
	fresh.settings := coalesce(fresh.settings, '{}');
	fresh.metadata := coalesce(fresh.metadata, '{}');
	IF p_patch ? 'parent' THEN
		PERFORM pg_advisory_xact_lock(7305009); -- before the row, as whoever changes the parent of another
		fresh.parent_team_id := CASE WHEN p_patch->>'parent' IS NOT NULL THEN (team_find(p_patch->>'parent')).id END;
		IF fresh.parent_team_id = fresh.id THEN
			RAISE EXCEPTION 'team ''%'' would be its own parent', fresh.name USING ERRCODE = 'MU004';
		END IF;
	END IF;
	-- The lock asks the policies of a change: what is not the asker's to change is not found.
	SELECT * INTO seen FROM teams WHERE id = t.id AND deleted_at IS NULL FOR NO KEY UPDATE;
	IF seen.id IS NULL OR app_plugin() <> '' THEN
		RAISE EXCEPTION 'changing team ''%'' takes its role OWNER, or the role PLATFORM_ENGINEER', p_team USING ERRCODE = '42501';
	END IF;
	IF seen.updated_at <> coalesce(p_seen, t.updated_at) THEN
		RAISE EXCEPTION 'team ''%'' has changed since', p_team USING ERRCODE = 'MU001';
	END IF;
	IF fresh <> t THEN
		UPDATE teams SET name = fresh.name, display_name = fresh.display_name, description = fresh.description, avatar = fresh.avatar,
			parent_team_id = fresh.parent_team_id, settings = fresh.settings, metadata = fresh.metadata, is_active = fresh.is_active
		WHERE id = t.id RETURNING * INTO fresh;
		PERFORM audit_write('team.change', 'team', t.id, t.name,
			p_old => (SELECT jsonb_object_agg(k, to_jsonb(t)->k) FROM (SELECT replace(k, 'parent', 'parent_team_id') AS k FROM jsonb_object_keys(p_patch) k) x),
			p_new => (SELECT jsonb_object_agg(k, to_jsonb(fresh)->k) FROM (SELECT replace(k, 'parent', 'parent_team_id') AS k FROM jsonb_object_keys(p_patch) k) x));
	END IF;
	RETURN NEXT team_facts_of(fresh);
EXCEPTION WHEN unique_violation THEN
	RAISE EXCEPTION 'there is a team ''%'' already', p_patch->>'name' USING ERRCODE = 'MZ012', HINT = 'Choose another name.';
END
$$;

-- Up to five names, and how many more.
CREATE FUNCTION names_shown(p_names text[]) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT string_agg(format('''%s''', n), ', ') || CASE WHEN cardinality(p_names) > 5 THEN format(' and %s more', cardinality(p_names) - 5) ELSE '' END
	FROM unnest(p_names[1:5]) n
$$;

CREATE FUNCTION team_delete(p_team text, p_reason text) RETURNS varchar
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t teams := team_find(p_team);
	v_children text[];
	v_services text[];
BEGIN
	PERFORM pg_advisory_xact_lock(7305009); -- no child comes meanwhile
	PERFORM 1 FROM teams WHERE id = t.id AND deleted_at IS NULL FOR UPDATE;
	IF NOT FOUND OR app_plugin() <> '' THEN
		RAISE EXCEPTION 'deleting team ''%'' takes its role OWNER, or the role PLATFORM_ENGINEER', p_team USING ERRCODE = '42501';
	END IF;
	SELECT array_agg(name ORDER BY name) INTO v_children FROM teams WHERE parent_team_id = t.id AND deleted_at IS NULL;
	SELECT array_agg(name ORDER BY name) INTO v_services FROM services WHERE team_id = t.id AND deleted_at IS NULL;
	IF v_children IS NOT NULL OR v_services IS NOT NULL THEN
		RAISE EXCEPTION '%', concat_ws(', and ', format('team ''%s''', p_team) || ' has the teams ' || names_shown(v_children) || ' below it',
			CASE WHEN v_children IS NULL THEN format('team ''%s'' ', p_team) ELSE '' END || 'owns the services ' || names_shown(v_services))
			USING ERRCODE = 'MU005';
	END IF;
	UPDATE teams SET deleted_at = now(), is_active = false WHERE id = t.id;
	PERFORM audit_write('team.delete', 'team', t.id, t.name, p_metadata => jsonb_strip_nulls(jsonb_build_object('reason', p_reason)));
	RETURN t.id;
END
$$;

-- ---- members -------------------------------------------------------------------------------------------------------------------------

CREATE TYPE member_facts AS (user_id varchar, username varchar, name varchar, is_active boolean, role team_role, joined_at timestamptz, position text);

CREATE FUNCTION members_list(p_team text, p_after text, p_limit integer) RETURNS SETOF member_facts
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	t teams := team_find(p_team);
BEGIN
	RETURN QUERY SELECT u.id, u.username, u.name, u.is_active, m.role, m.joined_at, user_position(u.name, u.id)
	FROM team_members m JOIN users u ON u.id = m.user_id
	WHERE m.team_id = t.id AND u.deleted_at IS NULL AND user_position(u.name, u.id) COLLATE "C" > coalesce(p_after, '')
	ORDER BY user_position(u.name, u.id) COLLATE "C" LIMIT p_limit;
END
$$;

-- The id of a user of that id or name, for those who may read columns of users one by one.
CREATE FUNCTION user_id_of(p_user text) RETURNS varchar
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	v_id varchar;
BEGIN
	SELECT id INTO v_id FROM users WHERE deleted_at IS NULL AND (id = p_user OR lower(username) = lower(p_user)) ORDER BY id <> p_user LIMIT 1;
	IF v_id IS NULL THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002', HINT = '''mortise user list'' shows who there is.';
	END IF;
	RETURN v_id;
END
$$;

CREATE FUNCTION member_get(p_team varchar, p_user varchar) RETURNS SETOF member_facts
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT u.id, u.username, u.name, u.is_active, m.role, m.joined_at, user_position(u.name, u.id)
	FROM team_members m JOIN users u ON u.id = m.user_id WHERE m.team_id = p_team AND m.user_id = p_user
$$;

-- A right in the team that is enough for a member of that role; the policies say the same.
CREATE FUNCTION member_refuse(p_team text, p_role team_role) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	RAISE EXCEPTION '% of team ''%'' take its role %, or the role PLATFORM_ENGINEER', CASE WHEN p_role = 'OWNER' THEN 'owners' ELSE 'members' END,
		p_team, CASE WHEN p_role = 'OWNER' THEN 'OWNER' ELSE 'OWNER or MAINTAINER' END USING ERRCODE = '42501';
END
$$;

CREATE FUNCTION member_add(p_team text, p_user text, p_role team_role) RETURNS SETOF member_facts
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t teams := team_find(p_team);
	v_user varchar := user_id_of(p_user);
BEGIN
	IF NOT EXISTS (SELECT 1 FROM users WHERE id = v_user AND is_active) THEN
		RAISE EXCEPTION 'user ''%'' is inactive', p_user USING ERRCODE = 'MZ013', HINT = 'Activate the user first.';
	END IF;
	BEGIN
		INSERT INTO team_members(user_id, team_id, role) VALUES (v_user, t.id, p_role);
	EXCEPTION
		WHEN insufficient_privilege THEN
			PERFORM member_refuse(p_team, p_role);
		WHEN unique_violation THEN
			RAISE EXCEPTION '''%'' is a member of team ''%'' already', p_user, p_team USING ERRCODE = 'MC003', HINT = 'Change the role instead.';
	END;
	PERFORM audit_write('member.add', 'team', t.id, t.name, p_new => jsonb_build_object('user_id', v_user, 'role', p_role));
	RETURN QUERY SELECT * FROM member_get(t.id, v_user);
END
$$;

CREATE FUNCTION member_change(p_team text, p_user text, p_role team_role) RETURNS SETOF member_facts
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t teams := team_find(p_team);
	v_user varchar := user_id_of(p_user);
	v_old team_role := (SELECT role FROM team_members WHERE team_id = t.id AND user_id = v_user);
BEGIN
	IF v_old IS NULL THEN
		RAISE EXCEPTION '''%'' is no member of team ''%''', p_user, p_team USING ERRCODE = 'P0002';
	END IF;
	BEGIN
		UPDATE team_members SET role = p_role WHERE team_id = t.id AND user_id = v_user;
		IF NOT FOUND THEN
			PERFORM member_refuse(p_team, v_old);
		END IF;
	EXCEPTION WHEN insufficient_privilege THEN
		PERFORM member_refuse(p_team, least(v_old, p_role));
	END;
	PERFORM audit_write('member.change', 'team', t.id, t.name, p_old => jsonb_build_object('user_id', v_user, 'role', v_old),
		p_new => jsonb_build_object('user_id', v_user, 'role', p_role));
	RETURN QUERY SELECT * FROM member_get(t.id, v_user);
END
$$;

CREATE FUNCTION member_remove(p_team text, p_user text) RETURNS varchar
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	t teams := team_find(p_team);
	v_user varchar := user_id_of(p_user);
	v_old team_role := (SELECT role FROM team_members WHERE team_id = t.id AND user_id = v_user);
BEGIN
	IF v_old IS NULL THEN
		RAISE EXCEPTION '''%'' is no member of team ''%''', p_user, p_team USING ERRCODE = 'P0002';
	END IF;
	DELETE FROM team_members WHERE team_id = t.id AND user_id = v_user;
	IF NOT FOUND THEN
		PERFORM member_refuse(p_team, v_old);
	END IF;
	PERFORM audit_write('member.remove', 'team', t.id, t.name, p_old => jsonb_build_object('user_id', v_user, 'role', v_old));
	RETURN v_user;
END
$$;

-- ---- why may he, why not -------------------------------------------------------------------------------------------------------------

-- Who is asked about, and what the plugin that asks for him was granted (p_plugin NULL: none asks). Oneself, or anybody for administrators.
CREATE FUNCTION access_facts(p_user text, p_plugin text, p_environment text) RETURNS TABLE (user_id varchar, name varchar, role user_role,
	is_active boolean, provider varchar, installation_id varchar, permissions text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
BEGIN
	IF app_plugin() <> '' OR NOT app_is_known() THEN
		RAISE EXCEPTION 'access is explained to people' USING ERRCODE = '42501';
	END IF;
	u := user_find(p_user);
	IF u.id <> app_user_id() AND NOT app_is_admin() THEN
		RAISE EXCEPTION 'explaining what others may do takes the role ADMIN' USING ERRCODE = '42501';
	END IF;
	RETURN QUERY SELECT u.id, u.name, u.role, u.is_active, u.provider, i.id, i.granted_permissions::text[]
	FROM (SELECT 1) one LEFT JOIN (plugin_installations i JOIN plugins p ON p.id = i.plugin_id)
		ON p.name = p_plugin AND i.environment = p_environment AND i.uninstalled_at IS NULL;
END
$$;

-- What each policy of a table says of one row, with that user (and plugin, '' for none) as the asker. p_row: a row that is not there yet.
CREATE FUNCTION access_policies(p_user text, p_plugin text, p_table name, p_command text, p_id text, p_row jsonb)
	RETURNS TABLE (policy text, restrictive boolean, holds boolean)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	asker constant text := coalesce(app_user_id(), '');
	plugin constant text := app_plugin();
	p record;
	v_source constant text := CASE WHEN p_row IS NULL THEN format('(SELECT * FROM %I WHERE id = $1)', p_table)
		ELSE format('jsonb_populate_record(NULL::%I, $2)', p_table) END;
BEGIN
	PERFORM set_config('app.current_user_id', p_user, true), set_config('app.current_plugin', p_plugin, true);
	FOR p IN SELECT o.policyname, o.permissive = 'RESTRICTIVE' AS restricts,
			CASE p_command WHEN 'INSERT' THEN coalesce(o.with_check, o.qual)
				WHEN 'UPDATE' THEN format('(%s) AND (%s)', o.qual, coalesce(o.with_check, o.qual)) ELSE o.qual END AS rule
		FROM pg_policies o WHERE o.schemaname = 'public' AND o.tablename = p_table AND o.cmd IN (p_command, 'ALL')
			AND 'application_role' = ANY (o.roles) ORDER BY o.permissive = 'RESTRICTIVE', o.policyname
	LOOP
		policy := p.policyname;
		restrictive := p.restricts;
		EXECUTE format('SELECT coalesce((SELECT %s FROM %s AS %I), false)', p.rule, v_source, p_table) INTO holds USING p_id, p_row;
		RETURN NEXT;
	END LOOP;
	PERFORM set_config('app.current_user_id', asker, true), set_config('app.current_plugin', plugin, true);
END
$$;

-- The same for a resource by its name. A rule that stands in a function has the function's name. P0002: there is none, or not for the asker.
CREATE FUNCTION access_rows(p_user text, p_plugin text, p_environment text, p_type text, p_command text, p_name text)
	RETURNS TABLE (policy text, restrictive boolean, holds boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker constant text := coalesce(app_user_id(), '');
	v_user constant varchar := (SELECT f.user_id FROM access_facts(p_user, NULL, p_environment) f);
	v_id varchar;
	v_table name;
BEGIN
	IF p_type = 'user' THEN
		v_id := user_id_of(p_name);
		RETURN QUERY SELECT * FROM (VALUES
			('user_change (of himself a user changes name, avatar and preferences)', false, v_id = v_user),
			('user_refuse_unless_admin', false, EXISTS (SELECT 1 FROM users WHERE id = v_user AND role = 'ADMIN' AND is_active)))
			v(policy, restrictive, holds);
		RETURN;
	ELSIF p_type = 'key' THEN
		v_id := user_id_of(p_name);
		PERFORM set_config('app.current_user_id', v_user, true);
		RETURN QUERY SELECT 'may_manage_keys', false, may_manage_keys(v_id, NULL);
		PERFORM set_config('app.current_user_id', asker, true);
		RETURN;
	ELSIF p_type = 'member' THEN
		RETURN QUERY SELECT * FROM access_policies(v_user, p_plugin, 'team_members', 'INSERT', NULL,
			jsonb_build_object('team_id', (team_find(p_name)).id, 'role', 'MEMBER'));
		RETURN;
	ELSIF p_type = 'team' THEN
		v_table := 'teams';
		v_id := (team_find(p_name)).id;
	ELSIF p_type = 'service' THEN
		v_table := 'services';
		SELECT s.id INTO v_id FROM services s WHERE s.name = p_name AND s.deleted_at IS NULL;
	ELSIF p_type = 'installation' THEN
		v_table := 'plugin_installations';
		SELECT i.id INTO v_id FROM plugin_installations i JOIN plugins p ON p.id = i.plugin_id
		WHERE p.name = p_name AND i.environment = p_environment AND i.uninstalled_at IS NULL;
	ELSE
		RAISE EXCEPTION 'no rows stand behind ''%''', p_type USING ERRCODE = '22023';
	END IF;
	-- What the asker does not see is not there, here as elsewhere.
	IF v_id IS NULL OR NOT app_is_admin() AND NOT EXISTS (SELECT 1 FROM access_policies(asker, '', v_table, 'SELECT', v_id, NULL) v
		WHERE v.holds AND NOT v.restrictive) THEN
		RAISE EXCEPTION 'there is no % ''%''', p_type, p_name USING ERRCODE = 'P0002';
	END IF;
	RETURN QUERY SELECT * FROM access_policies(v_user, p_plugin, v_table, p_command, v_id, NULL);
END
$$;
