-- API keys, for a front that may not read the table. SECURITY DEFINER with a pinned search_path; each decides itself who may.
SET LOCAL search_path = public, pg_temp;

-- The facts of a valid key; no row for one that is unknown, revoked, expired, or whose owner is inactive.
-- A team's key acts as the team's service account (auth_api_key_create makes it).
CREATE FUNCTION auth_api_key(p_key_hash text) RETURNS TABLE (key_id varchar, user_id varchar, team_id varchar, role user_role, scopes text[],
	rate_limit integer, expires_at timestamptz, allowed_ips inet[], allowed_origins text[], user_name varchar, user_provider varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY
	SELECT k.id, u.id, k.team_id, u.role, k.scopes, k.rate_limit, k.expires_at, k.allowed_ips, k.allowed_origins, u.name, u.provider
	FROM api_keys k
	JOIN users u ON u.is_active AND u.deleted_at IS NULL
		AND (u.id = k.user_id OR (k.user_id IS NULL AND u.provider = 'team' AND u.provider_id = k.team_id))
	LEFT JOIN teams t ON t.id = k.team_id
	WHERE k.key_hash = p_key_hash AND k.is_active AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
		AND (k.team_id IS NULL OR (t.is_active AND t.deleted_at IS NULL));
END
$$;

-- The account that a plugin acts as when it asks for nobody; NULL: there is none.
CREATE FUNCTION auth_account(p_installation text) RETURNS varchar
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
	SELECT id FROM users WHERE provider = 'plugin' AND provider_id = p_installation AND is_active AND deleted_at IS NULL
$$;

-- Rows in id order: two fronts that report the same keys must not deadlock.
CREATE FUNCTION auth_api_keys_used(p_hashes text[], p_counts bigint[], p_last timestamptz[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	n integer;
BEGIN
	PERFORM 1 FROM api_keys WHERE key_hash = ANY (p_hashes) ORDER BY id FOR NO KEY UPDATE;
	UPDATE api_keys k SET usage_count = k.usage_count + u.n, last_used_at = greatest(k.last_used_at, u.last)
	FROM (SELECT hash, sum(greatest(count, 0))::bigint AS n, max(at) AS last FROM unnest(p_hashes, p_counts, p_last) x(hash, count, at) GROUP BY hash) u
	WHERE k.key_hash = u.hash;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;

-- The asker may manage keys of that user or team.
CREATE FUNCTION may_manage_keys(p_user text, p_team text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN app_plugin() = '' AND app_is_known() AND (app_is_admin()
		OR (p_team IS NULL AND p_user = app_user_id())
		OR (p_team IS NOT NULL AND coalesce(p_user, app_user_id()) = app_user_id() AND EXISTS (
			SELECT 1 FROM team_members WHERE team_id = p_team AND user_id = app_user_id() AND role IN ('OWNER', 'MAINTAINER'))));
END
$$;

-- A key as its managers see it; never its hash.
CREATE TYPE api_key_facts AS (id varchar, user_id varchar, team_id varchar, team varchar, name varchar, key_prefix varchar, scopes text[],
	rate_limit integer, allowed_ips text[], allowed_origins text[], last_used_at timestamptz, usage_count bigint, expires_at timestamptz,
	is_active boolean, revoked_at timestamptz, revoked_reason varchar, created_at timestamptz, created_by varchar);

CREATE FUNCTION api_key_facts_of(k api_keys) RETURNS api_key_facts
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
	SELECT k.id, k.user_id, k.team_id, (SELECT t.name FROM teams t WHERE t.id = k.team_id), k.name, k.key_prefix, k.scopes, k.rate_limit,
		-- A network of one address is written as the address.
		ARRAY(SELECT abbrev(n) FROM unnest(k.allowed_ips) WITH ORDINALITY u(n, i) ORDER BY i), coalesce(k.allowed_origins, '{}'),
		k.last_used_at, k.usage_count, k.expires_at, k.is_active, k.revoked_at, k.revoked_reason, k.created_at, k.created_by
$$;

-- The key, if the asker may manage it: to one who may not, a foreign key and no key look alike.
CREATE FUNCTION api_key_find(p_key_id text) RETURNS api_keys
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	k api_keys;
BEGIN
	SELECT * INTO k FROM api_keys WHERE id = p_key_id;
	IF k.id IS NULL OR NOT may_manage_keys(k.user_id, k.team_id) THEN
		RAISE EXCEPTION 'there is no API key ''%''', p_key_id USING ERRCODE = 'P0002', HINT = '''mortise api-key list'' shows which there are.';
	END IF;
	RETURN k;
END
$$;

-- The account that a team's key acts as, made with the first such key.
CREATE FUNCTION team_account_put(t teams) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO users(email, name, provider, provider_id, role)
	VALUES (t.id || '@team.invalid', t.display_name, 'team', t.id, 'DEVELOPER') ON CONFLICT DO NOTHING;
	INSERT INTO team_members(user_id, team_id) SELECT id, t.id FROM users WHERE provider = 'team' AND provider_id = t.id AND deleted_at IS NULL
	ON CONFLICT DO NOTHING;
END
$$;

-- p_user (id or name) and p_team (name): whose the key is; one of them may be NULL. p_body is the hash of what was asked for: an operation
-- key that comes again makes no second key, and is told the first one's id, since its text is kept nowhere.
CREATE FUNCTION auth_api_key_create(p_user text, p_team text, p_name text, p_key_hash text, p_key_prefix text, p_scopes text[],
	p_rate_limit integer, p_expires_at timestamptz, p_allowed_ips inet[], p_allowed_origins text[], p_operation text, p_body text)
	RETURNS SETOF api_key_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	k api_keys;
	t teams;
	u users;
BEGIN
	IF p_user IS NULL AND p_team IS NULL OR coalesce(p_name, '') = '' OR coalesce(cardinality(p_scopes), 0) = 0
		OR p_key_hash !~ '^[0-9a-f]{64}$' OR length(p_key_prefix) <> 10 OR coalesce(p_rate_limit, 0) < 0 OR p_expires_at <= now() THEN
		RAISE EXCEPTION 'a key needs an owner, a name, scopes, a future expiry and a limit that is not negative' USING ERRCODE = '22023';
	END IF;
	IF p_user IS NOT NULL THEN
		u := user_find(p_user);
	END IF;
	IF p_team IS NOT NULL THEN
		t := team_find(p_team);
	END IF;
	IF NOT may_manage_keys(u.id, t.id) THEN
		RAISE EXCEPTION 'the asker may not make keys for that owner' USING ERRCODE = '42501';
	END IF;
	-- A key of the account would be in no list of the team's keys, and outlive the one that made it unseen.
	IF u.provider = 'team' THEN
		RAISE EXCEPTION 'the account of a team takes no key of its own' USING ERRCODE = '42501', HINT = 'Make a key of the team, as its OWNER or MAINTAINER.';
	END IF;
	-- A team's account is a DEVELOPER: who is less may not act as one through it.
	IF u.id IS NULL AND EXISTS (SELECT 1 FROM users WHERE id = app_user_id() AND role = 'VIEWER') THEN
		RAISE EXCEPTION 'a team''s key acts as a DEVELOPER, and the asker is a VIEWER' USING ERRCODE = '42501';
	END IF;
	IF p_rate_limit = 0 AND NOT app_is_admin() THEN
		RAISE EXCEPTION 'only an administrator may make an unlimited key' USING ERRCODE = '42501', HINT = 'Give a rate limit above 0.';
	END IF;
	IF NOT coalesce(u.is_active, true) THEN
		RAISE EXCEPTION 'user ''%'' is inactive', u.name USING ERRCODE = 'MZ013';
	END IF;
	IF NOT coalesce(t.is_active, true) THEN
		RAISE EXCEPTION 'team ''%'' is inactive', t.name USING ERRCODE = 'MZ013';
	END IF;
	IF u.id IS NULL THEN
		PERFORM team_account_put(t);
	END IF;
	INSERT INTO api_keys(user_id, team_id, name, key_hash, key_prefix, scopes, rate_limit, expires_at, allowed_ips, allowed_origins, created_by,
		operation_key, operation_body)
	VALUES (u.id, t.id, p_name, p_key_hash, p_key_prefix, p_scopes, coalesce(p_rate_limit, 1000), p_expires_at, p_allowed_ips, p_allowed_origins,
		app_user_id(), p_operation, p_body)
	ON CONFLICT (created_by, operation_key) DO NOTHING RETURNING * INTO k;
	IF k.id IS NULL THEN
		SELECT * INTO k FROM api_keys WHERE created_by = app_user_id() AND operation_key = p_operation;
		IF k.operation_body IS DISTINCT FROM p_body THEN
			RAISE EXCEPTION 'the operation key ''%'' was used for another API key', p_operation USING ERRCODE = 'MC008';
		END IF;
		RAISE EXCEPTION 'this operation has made the API key ''%'' already', k.id USING ERRCODE = 'MA001';
	END IF;
	PERFORM audit_write('api_key.create', 'api_key', k.id, p_name, p_new => jsonb_strip_nulls(jsonb_build_object('key_prefix', p_key_prefix,
		'user_id', k.user_id, 'team_id', k.team_id, 'scopes', k.scopes, 'rate_limit', k.rate_limit, 'expires_at', k.expires_at,
		'allowed_ips', k.allowed_ips, 'allowed_origins', k.allowed_origins)));
	RETURN NEXT api_key_facts_of(k);
END
$$;

-- p_patch: members that are there are set, null clears; named like the columns.
CREATE FUNCTION auth_api_key_change(p_key_id text, p_patch jsonb) RETURNS SETOF api_key_facts
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	k api_keys := api_key_find(p_key_id);
	fresh api_keys;
BEGIN
	SELECT * INTO k FROM api_keys WHERE id = k.id FOR UPDATE;
	IF k.revoked_at IS NOT NULL THEN
		RAISE EXCEPTION 'API key ''%'' is revoked', p_key_id USING ERRCODE = 'MZ013', HINT = 'Make another key.';
	END IF;
	IF (p_patch->>'rate_limit')::integer = 0 AND k.rate_limit <> 0 AND NOT app_is_admin() THEN
		RAISE EXCEPTION 'only an administrator may make a key unlimited' USING ERRCODE = '42501', HINT = 'Give a rate limit above 0.';
	END IF;
	UPDATE api_keys SET name = coalesce(p_patch->>'name', name),
		scopes = CASE WHEN p_patch ? 'scopes' THEN json_texts(p_patch->'scopes') ELSE scopes END,
		rate_limit = coalesce((p_patch->>'rate_limit')::integer, rate_limit),
		expires_at = CASE WHEN p_patch ? 'expires_at' THEN (p_patch->>'expires_at')::timestamptz ELSE expires_at END,
		allowed_ips = CASE WHEN p_patch ? 'allowed_ips' THEN nullif(json_texts(p_patch->'allowed_ips'), '{}')::inet[] ELSE allowed_ips END,
		allowed_origins = CASE WHEN p_patch ? 'allowed_origins' THEN nullif(json_texts(p_patch->'allowed_origins'), '{}') ELSE allowed_origins END
	WHERE id = k.id RETURNING * INTO fresh;
	PERFORM audit_write('api_key.change', 'api_key', k.id, fresh.name,
		p_old => (SELECT jsonb_object_agg(m, to_jsonb(k)->m) FROM jsonb_object_keys(p_patch) m),
		p_new => (SELECT jsonb_object_agg(m, to_jsonb(fresh)->m) FROM jsonb_object_keys(p_patch) m));
	RETURN NEXT api_key_facts_of(fresh);
END
$$;

CREATE FUNCTION auth_api_key_revoke(p_key_id text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	k api_keys := api_key_find(p_key_id);
BEGIN
	UPDATE api_keys SET is_active = false, revoked_at = now(), revoked_reason = left(p_reason, 255) WHERE id = k.id AND revoked_at IS NULL;
	IF NOT FOUND THEN
		RETURN false;
	END IF;
	PERFORM audit_write('api_key.revoke', 'api_key', k.id, k.name,
		p_new => jsonb_build_object('key_prefix', k.key_prefix, 'revoked_reason', left(p_reason, 255)));
	RETURN true;
END
$$;

CREATE FUNCTION auth_api_key_get(p_key_id text) RETURNS SETOF api_key_facts
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN NEXT api_key_facts_of(api_key_find(p_key_id));
END
$$;

-- Newest first: ids sort by time. Of p_team (name) where it is given, else of p_user (id or name).
CREATE FUNCTION auth_api_keys_list(p_user text, p_team text, p_before text, p_limit integer) RETURNS SETOF api_key_facts
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	t teams;
	u users;
BEGIN
	IF p_team IS NOT NULL THEN
		t := team_find(p_team);
	ELSE
		u := user_find(p_user);
	END IF;
	IF NOT may_manage_keys(u.id, t.id) THEN
		RAISE EXCEPTION 'the asker may not list the keys of that owner' USING ERRCODE = '42501';
	END IF;
	RETURN QUERY SELECT f.* FROM api_keys k, LATERAL api_key_facts_of(k) f
	WHERE (k.team_id = t.id OR k.user_id = u.id) AND (p_before IS NULL OR k.id COLLATE "C" < p_before)
	ORDER BY k.id COLLATE "C" DESC LIMIT p_limit;
END
$$;

-- The first administrator, by the owner alone. A new hash replaces the key: who lost the token file makes another.
CREATE FUNCTION bootstrap_admin(p_name text, p_key_hash text, p_key_prefix text) RETURNS varchar
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	v_user varchar;
BEGIN
	INSERT INTO users(email, name, provider, provider_id, role) VALUES (p_name || '@system.invalid', p_name, 'system', p_name, 'ADMIN')
	ON CONFLICT DO NOTHING;
	SELECT id INTO v_user FROM users WHERE provider = 'system' AND provider_id = p_name AND deleted_at IS NULL FOR UPDATE;
	IF v_user IS NULL THEN
		RAISE EXCEPTION 'address ''%@system.invalid'' belongs to another account', p_name USING ERRCODE = 'MC003';
	END IF;
	IF EXISTS (SELECT 1 FROM api_keys WHERE key_hash = p_key_hash AND user_id = v_user AND is_active) THEN
		RETURN v_user;
	END IF;
	UPDATE api_keys SET is_active = false, revoked_at = now(), revoked_reason = 'replaced'
	WHERE user_id = v_user AND name = 'bootstrap' AND revoked_at IS NULL;
	INSERT INTO api_keys(user_id, name, key_hash, key_prefix, scopes, rate_limit)
	VALUES (v_user, 'bootstrap', p_key_hash, p_key_prefix, ARRAY['*'], 0);
	PERFORM audit_write('admin.bootstrap', 'user', v_user, p_name, p_new => jsonb_build_object('prefix', p_key_prefix));
	RETURN v_user;
END
$$;
