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

CREATE FUNCTION auth_api_key_create(p_user text, p_team text, p_name text, p_key_hash text, p_key_prefix text, p_scopes text[],
	p_rate_limit integer, p_expires_at timestamptz, p_allowed_ips inet[], p_allowed_origins text[]) RETURNS varchar
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	v_id varchar;
	v_team teams;
	v_account varchar;
BEGIN
	IF p_user IS NULL AND p_team IS NULL OR coalesce(p_name, '') = '' OR coalesce(cardinality(p_scopes), 0) = 0
		OR p_key_hash !~ '^[0-9a-f]{64}$' OR length(p_key_prefix) <> 10 OR coalesce(p_rate_limit, 0) < 0 OR p_expires_at <= now() THEN
		RAISE EXCEPTION 'a key needs an owner, a name, scopes, a future expiry and a limit that is not negative' USING ERRCODE = '22023';
	END IF;
	IF NOT may_manage_keys(p_user, p_team) THEN
		RAISE EXCEPTION 'the asker may not make keys for that owner' USING ERRCODE = '42501';
	END IF;
	IF p_rate_limit = 0 AND NOT app_is_admin() THEN
		RAISE EXCEPTION 'only an administrator may make an unlimited key' USING ERRCODE = '42501', HINT = 'Give a rate limit above 0.';
	END IF;
	IF p_user IS NOT NULL AND NOT EXISTS (SELECT 1 FROM users WHERE id = p_user AND is_active AND deleted_at IS NULL) THEN
		RAISE EXCEPTION 'user ''%'' is unknown or inactive', p_user USING ERRCODE = 'P0002';
	END IF;
	IF p_team IS NOT NULL THEN
		SELECT * INTO v_team FROM teams WHERE id = p_team AND is_active AND deleted_at IS NULL;
		IF v_team.id IS NULL THEN
			RAISE EXCEPTION 'team ''%'' is unknown or inactive', p_team USING ERRCODE = 'P0002';
		END IF;
		IF p_user IS NULL THEN
			INSERT INTO users(email, name, provider, provider_id, role)
			VALUES (p_team || '@team.invalid', v_team.display_name, 'team', p_team, 'DEVELOPER') ON CONFLICT DO NOTHING;
			SELECT id INTO v_account FROM users WHERE provider = 'team' AND provider_id = p_team AND deleted_at IS NULL;
			INSERT INTO team_members(user_id, team_id) VALUES (v_account, p_team) ON CONFLICT DO NOTHING;
		END IF;
	END IF;
	INSERT INTO api_keys(user_id, team_id, name, key_hash, key_prefix, scopes, rate_limit, expires_at, allowed_ips, allowed_origins)
	VALUES (p_user, p_team, p_name, p_key_hash, p_key_prefix, p_scopes, coalesce(p_rate_limit, 1000), p_expires_at, p_allowed_ips, p_allowed_origins)
	RETURNING id INTO v_id;
	PERFORM audit_write('api_key.create', 'api_key', v_id, p_name, p_new => jsonb_strip_nulls(jsonb_build_object('prefix', p_key_prefix,
		'user_id', p_user, 'team_id', p_team, 'scopes', p_scopes, 'rate_limit', coalesce(p_rate_limit, 1000), 'expires_at', p_expires_at)));
	RETURN v_id;
END
$$;

CREATE FUNCTION auth_api_key_revoke(p_key_id text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	key api_keys;
BEGIN
	SELECT * INTO key FROM api_keys WHERE id = p_key_id FOR UPDATE;
	-- To one who may not, a foreign key and no key look alike.
	IF key.id IS NULL OR NOT may_manage_keys(key.user_id, key.team_id) THEN
		RAISE EXCEPTION 'key ''%'' is unknown', p_key_id USING ERRCODE = 'P0002';
	END IF;
	IF key.revoked_at IS NOT NULL THEN
		RETURN false;
	END IF;
	UPDATE api_keys SET is_active = false, revoked_at = now(), revoked_reason = left(p_reason, 255) WHERE id = p_key_id;
	PERFORM audit_write('api_key.revoke', 'api_key', p_key_id, key.name, p_new => jsonb_build_object('prefix', key.key_prefix, 'reason', p_reason));
	RETURN true;
END
$$;

CREATE FUNCTION auth_api_keys_list(p_user text) RETURNS TABLE (id varchar, team_id varchar, name varchar, key_prefix varchar, scopes text[],
	rate_limit integer, allowed_ips inet[], allowed_origins text[], last_used_at timestamptz, usage_count bigint, expires_at timestamptz,
	is_active boolean, revoked_at timestamptz, revoked_reason varchar, created_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF NOT may_manage_keys(p_user, NULL) THEN
		RAISE EXCEPTION 'the asker may not list keys of that user' USING ERRCODE = '42501';
	END IF;
	RETURN QUERY SELECT k.id, k.team_id, k.name, k.key_prefix, k.scopes, k.rate_limit, k.allowed_ips, k.allowed_origins, k.last_used_at,
		k.usage_count, k.expires_at, k.is_active, k.revoked_at, k.revoked_reason, k.created_at
	FROM api_keys k WHERE k.user_id = p_user ORDER BY k.created_at DESC, k.id;
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
