-- Local login and sessions, for a front that may not read the tables. SECURITY DEFINER with a pinned search_path; each function decides
-- itself who may. Tokens come and are kept as the hex SHA-256 of their text.
--
-- Threats: passwords are guessed, also by many at once (an attempt is counted, and that is committed, before a hash is computed); an
-- attacker locks the owner out (a place that he logged in from before has a count of its own, attempts within a block do not lengthen
-- it, no block is longer than p_block); a refresh token is stolen (it counts once; used again, it ends the session for both); a session
-- outlives its user's rights (triggers end it, whoever changes the row).
SET LOCAL search_path = public, pg_temp;

-- Failed logins, and those whose end is not known yet. kind 'account': of a user, or of a name that nobody has, wherever they came from;
-- 'place': of a user from one network that he has logged in from; 'address': from one network, whatever the account.
CREATE TABLE login_attempts (
	kind varchar(10) NOT NULL CHECK (kind IN ('account', 'place', 'address')),
	key varchar(120) NOT NULL,
	failures integer NOT NULL DEFAULT 0,
	last_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	blocked_until timestamptz NOT NULL DEFAULT '-infinity',
	PRIMARY KEY (kind, key)
);
CREATE INDEX login_attempts_last ON login_attempts (last_at);

-- Networks that a user has logged in from, all the way, in the last 90 days.
CREATE TABLE login_places (
	user_id varchar(30) NOT NULL REFERENCES users ON DELETE CASCADE,
	network cidr NOT NULL,
	last_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	PRIMARY KEY (user_id, network)
);

-- Refresh tokens that were replaced: who shows one later has it from somebody.
CREATE TABLE session_tokens_spent (
	hash varchar(64) PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{64}$'),
	session_id varchar(30) NOT NULL REFERENCES sessions ON DELETE CASCADE,
	spent_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX session_tokens_spent_session ON session_tokens_spent (session_id);

INSERT INTO data_classification(table_name, column_name, classification, contains_pii, contains_phi, encryption_required, retention_days) VALUES
	('login_attempts', '*', 'confidential', true, false, false, 1),
	('login_places', '*', 'confidential', true, false, false, 90),
	('session_tokens_spent', 'hash', 'restricted', false, false, true, 60),
	('session_tokens_spent', 'session_id', 'internal', false, false, false, 60),
	('session_tokens_spent', 'spent_at', 'internal', false, false, false, 60)
ON CONFLICT DO NOTHING;

-- ---- attempts ------------------------------------------------------------------------------------------------------------------------

-- One address of IPv4 (also when it comes mapped), 64 bits of IPv6: whoever has one of those has them all. NULL: no address.
CREATE FUNCTION login_network(p_address text) RETURNS cidr
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT AS $$
DECLARE
	a inet;
BEGIN
	a := regexp_replace(p_address, '^::ffff:(\d+\.\d+\.\d+\.\d+)$', '\1', 'i')::inet;
	RETURN network(set_masklen(a, CASE family(a) WHEN 4 THEN 32 ELSE 64 END));
EXCEPTION WHEN invalid_text_representation THEN
	RETURN NULL;
END
$$;

-- Count one attempt as failed; login_forgive() takes it back. True: it came within a block, and is refused whatever it brings. Behind
-- p_free failures each one blocks, for 2, 4, 8 ... seconds, p_block at most; a day without one is a new beginning.
CREATE FUNCTION login_count(p_kind text, p_key text, p_free integer, p_block interval) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	a login_attempts;
	at timestamptz;
	blocked boolean;
BEGIN
	INSERT INTO login_attempts(kind, key) VALUES (p_kind, p_key) ON CONFLICT DO NOTHING;
	SELECT * INTO a FROM login_attempts WHERE kind = p_kind AND key = p_key FOR UPDATE;
	at := clock_timestamp();
	blocked := a.blocked_until > at;
	a.failures := CASE WHEN a.last_at < at - interval '1 day' THEN 1 ELSE least(a.failures, 1000000) + 1 END;
	UPDATE login_attempts SET failures = a.failures, last_at = at, blocked_until = CASE
		WHEN blocked THEN blocked_until
		WHEN a.failures > p_free THEN at + least(p_block, interval '1 second' * 2 ^ least(a.failures - p_free, 20))
		ELSE '-infinity' END
	WHERE kind = p_kind AND key = p_key;
	RETURN blocked;
END
$$;

-- Count an attempt on an account; p_user NULL: nobody has that name. From a place of the user's it counts there alone, so that neither
-- strangers nor neighbours behind his address keep him out.
CREATE FUNCTION login_attempt(p_account text, p_user text, p_address text, p_free integer, p_block interval) RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	place cidr := login_network(p_address);
	account_blocked boolean;
	address_blocked boolean;
BEGIN
	IF EXISTS (SELECT 1 FROM login_places WHERE user_id = p_user AND network = place AND last_at > now() - interval '90 days') THEN
		RETURN login_count('place', p_user || ' ' || place, p_free, p_block);
	END IF;
	account_blocked := login_count('account', p_account, p_free, p_block);
	-- Both count: OR alone would leave out what it needs not know.
	address_blocked := login_count('address', coalesce(place::text, ''), 4 * p_free, p_block);
	RETURN account_blocked OR address_blocked;
END
$$;

-- The password was right: the account begins anew there, the address gets this one attempt back (its others stay: who knows one account
-- may still guess at the rest).
CREATE FUNCTION login_forgive(p_user text, p_address text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	place cidr := login_network(p_address);
BEGIN
	DELETE FROM login_attempts WHERE kind = 'place' AND key = p_user || ' ' || place;
	IF NOT FOUND THEN
		DELETE FROM login_attempts WHERE kind = 'account' AND key = p_user;
		UPDATE login_attempts SET failures = greatest(failures - 1, 0) WHERE kind = 'address' AND key = coalesce(place::text, '');
	END IF;
END
$$;

-- ---- login ---------------------------------------------------------------------------------------------------------------------------

-- An attempt, counted from here on. Always one row: without a password when nobody has that name; denied: whatever the password, no.
CREATE FUNCTION auth_login_begin(p_login text, p_address text, p_free integer, p_block interval)
	RETURNS TABLE (user_id varchar, password varchar, prehashed boolean, denied boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	account text;
	blocked boolean;
BEGIN
	IF app_plugin() <> '' THEN
		RAISE EXCEPTION 'a plugin logs nobody in' USING ERRCODE = '42501';
	END IF;
	SELECT * INTO u FROM users x WHERE x.provider = 'local' AND x.deleted_at IS NULL
		AND (lower(x.email) = lower(p_login) OR lower(x.username) = lower(p_login))
	ORDER BY lower(x.email) = lower(p_login) DESC LIMIT 1;
	-- What was typed in the name's place may be a password: it is not kept.
	account := coalesce(u.id, '?' || encode(sha256(convert_to(lower(p_login), 'UTF8')), 'hex'));
	blocked := login_attempt(account, u.id, p_address, p_free, p_block);
	RETURN QUERY SELECT u.id, u.password, coalesce(u.password_prehashed, true), blocked OR u.is_active IS NOT TRUE;
END
$$;

-- What a login or a refresh gives. methods: by what a half session finishes ({}: by enrolling); NULL: it is whole.
CREATE TYPE session_given AS (session_id varchar, user_id varchar, name varchar, username varchar, role user_role, expires_at timestamptz,
	refresh_expires_at timestamptz, by_cookie boolean, methods text[]);

CREATE FUNCTION session_given_of(s sessions, u users) RETURNS session_given
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN (s.id, u.id, u.name, u.username, u.role, s.expires_at, s.refresh_expires_at, s.by_cookie,
		CASE WHEN s.half THEN coalesce(second_factor_methods(u.id), '{}') END)::session_given;
END
$$;

-- The password was p_password's: begin a session. p_raised: the same password's hash at today's cost, to be kept in its place. No row: the
-- user is no longer the one that auth_login_begin() had. A half session has a quarter of an hour and no refresh token.
CREATE FUNCTION auth_login_finish(p_user text, p_password text, p_raised text, p_token text, p_refresh text, p_address text,
	p_token_limit interval, p_idle_limit interval, p_absolute_limit interval, p_by_cookie boolean, p_device_name text) RETURNS SETOF session_given
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	s sessions;
	owed boolean;
	absolute_limit interval := greatest(p_absolute_limit, interval '1 second');
	token_limit interval := least(greatest(p_token_limit, interval '1 second'), absolute_limit);
BEGIN
	SELECT * INTO u FROM users WHERE id = p_user AND provider = 'local' AND is_active AND deleted_at IS NULL AND password = p_password
	FOR NO KEY UPDATE;
	IF u.id IS NULL OR app_plugin() <> '' THEN
		RETURN;
	END IF;
	owed := second_factor_methods(u.id) IS NOT NULL OR second_factor_owed(u.id);
	PERFORM login_forgive(u.id, p_address);
	UPDATE users SET password = coalesce(p_raised, password), password_prehashed = password_prehashed OR p_raised IS NOT NULL
	WHERE id = u.id AND p_raised IS NOT NULL;
	INSERT INTO sessions(user_id, token, refresh_token, ip_address, user_agent, device_name, expires_at, refresh_expires_at, half, by_cookie,
		absolute_expires_at, idle_limit, token_limit)
	VALUES (u.id, p_token, CASE WHEN NOT owed THEN p_refresh END, app_address(), left(app_setting('app.user_agent'), 1000),
		left(p_device_name, 255), now() + CASE WHEN owed THEN least(token_limit, interval '15 minutes') ELSE token_limit END,
		CASE WHEN NOT owed THEN now() + absolute_limit END, owed, p_by_cookie, now() + absolute_limit,
		greatest(p_idle_limit, interval '1 second'), token_limit)
	RETURNING * INTO s;
	IF NOT owed THEN
		PERFORM session_whole(s);
	END IF;
	PERFORM audit_write('session.create', 'session', s.id, u.name, p_actor => u.id, p_new => jsonb_strip_nulls(jsonb_build_object(
		'half', s.half, 'by_cookie', s.by_cookie, 'device_name', s.device_name, 'absolute_expires_at', s.absolute_expires_at)));
	RETURN NEXT session_given_of(s, u);
END
$$;

-- All that a login takes was shown: the place is the user's from now on.
CREATE FUNCTION session_whole(s sessions) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	UPDATE users SET last_login = now() WHERE id = s.user_id;
	INSERT INTO login_places AS p (user_id, network) SELECT s.user_id, n FROM login_network(host(s.ip_address)) n WHERE n IS NOT NULL
	ON CONFLICT (user_id, network) DO UPDATE SET last_at = now();
END
$$;

-- The second factor was right: the asker's half session becomes whole, with new tokens. P0002: it is not half, or not his.
CREATE FUNCTION session_promote(p_session text, p_token text, p_refresh text) RETURNS session_given
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	s sessions;
BEGIN
	SELECT * INTO u FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL;
	UPDATE sessions SET half = false, token = p_token, refresh_token = p_refresh, factor_failures = 0, last_activity = now(),
		expires_at = least(now() + token_limit, absolute_expires_at), refresh_expires_at = absolute_expires_at
	WHERE id = p_session AND id = app_setting('app.session_id') AND user_id = u.id AND half AND is_active AND expires_at > now()
	RETURNING * INTO s;
	IF s.id IS NULL OR app_plugin() <> '' THEN
		RAISE EXCEPTION 'no such session owes a second factor' USING ERRCODE = 'P0002', HINT = 'Log in again.';
	END IF;
	PERFORM session_whole(s);
	PERFORM audit_write('session.promote', 'session', s.id, u.name, p_old => '{"half": true}', p_new => '{"half": false}');
	RETURN session_given_of(s, u);
END
$$;

-- ---- use and refresh -----------------------------------------------------------------------------------------------------------------

-- The facts of a session that counts now; no row for any other.
CREATE FUNCTION auth_session(p_token text) RETURNS TABLE (session_id varchar, user_id varchar, role user_role, user_name varchar,
	user_provider varchar, half boolean, by_cookie boolean, expires_at timestamptz, idle_us bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY
	SELECT s.id, u.id, u.role, u.name, u.provider, s.half, s.by_cookie, s.expires_at, (extract(epoch FROM s.idle_limit) * 1000000)::bigint
	FROM sessions s JOIN users u ON u.id = s.user_id AND u.is_active AND u.deleted_at IS NULL
	WHERE s.token = p_token AND s.is_active AND s.revoked_at IS NULL AND s.expires_at > now() AND s.absolute_expires_at > now()
		AND s.last_activity + s.idle_limit > now();
END
$$;

-- Sessions were used; rows in id order, so that two fronts that report the same ones do not deadlock.
CREATE FUNCTION auth_sessions_used(p_hashes text[], p_last timestamptz[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	n integer;
BEGIN
	PERFORM 1 FROM sessions WHERE token = ANY (p_hashes) ORDER BY id FOR NO KEY UPDATE;
	UPDATE sessions s SET last_activity = greatest(s.last_activity, least(u.last, now()))
	FROM (SELECT hash, max(at) AS last FROM unnest(p_hashes, p_last) x(hash, at) GROUP BY hash) u WHERE s.token = u.hash;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END
$$;

-- New tokens for a refresh token. outcome: 'refreshed'; 'unknown'; 'twice': replaced within p_grace, by a request at the same time;
-- 'reused': replaced before that, so two hold it, and the session is over for both. Other columns are NULL unless refreshed.
CREATE FUNCTION auth_session_refresh(p_refresh text, p_token text, p_new_refresh text, p_by_cookie boolean, p_grace interval)
	RETURNS TABLE (outcome text, given session_given)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	s sessions;
	u users;
	spent session_tokens_spent;
BEGIN
	-- Who waits here for another's rotation finds no row afterwards, and the token among the spent ones.
	SELECT * INTO s FROM sessions WHERE refresh_token = p_refresh FOR NO KEY UPDATE;
	IF s.id IS NOT NULL THEN
		SELECT * INTO u FROM users WHERE id = s.user_id AND is_active AND deleted_at IS NULL;
		IF u.id IS NULL OR NOT s.is_active OR s.half OR s.by_cookie <> p_by_cookie OR s.refresh_expires_at <= now()
			OR s.absolute_expires_at <= now() OR s.last_activity + s.idle_limit <= now() THEN
			RETURN QUERY SELECT 'unknown', NULL::session_given;
			RETURN;
		END IF;
		s := session_rotate(s, p_token, p_new_refresh);
		PERFORM audit_write('session.refresh', 'session', s.id, u.name, p_actor => u.id,
			p_new => jsonb_build_object('expires_at', s.expires_at));
		RETURN QUERY SELECT 'refreshed', session_given_of(s, u);
		RETURN;
	END IF;
	SELECT * INTO spent FROM session_tokens_spent WHERE hash = p_refresh;
	IF spent.hash IS NULL THEN
		RETURN QUERY SELECT 'unknown', NULL::session_given;
	ELSIF spent.spent_at > clock_timestamp() - p_grace THEN
		RETURN QUERY SELECT 'twice', NULL::session_given;
	ELSE
		PERFORM session_end(spent.session_id, 'a refresh token was used twice', 'failure');
		RETURN QUERY SELECT 'reused', NULL::session_given;
	END IF;
END
$$;

-- New tokens; the old ones count no more.
CREATE FUNCTION session_rotate(s sessions, p_token text, p_refresh text) RETURNS sessions
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	INSERT INTO session_tokens_spent(hash, session_id) SELECT s.refresh_token, s.id WHERE s.refresh_token IS NOT NULL;
	UPDATE sessions SET token = p_token, refresh_token = p_refresh, last_activity = now(),
		expires_at = least(now() + token_limit, absolute_expires_at)
	WHERE id = s.id RETURNING * INTO s;
	RETURN s;
END
$$;

-- ---- looking and ending --------------------------------------------------------------------------------------------------------------

-- End one, when it is not over yet.
CREATE FUNCTION session_end(p_session text, p_reason text, p_status text DEFAULT 'success') RETURNS boolean
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	s sessions;
	u users;
BEGIN
	UPDATE sessions SET is_active = false, revoked_at = now(), revoked_reason = left(p_reason, 255)
	WHERE id = p_session AND is_active RETURNING * INTO s;
	IF s.id IS NULL THEN
		RETURN false;
	END IF;
	SELECT * INTO u FROM users WHERE id = s.user_id;
	PERFORM audit_write('session.end', 'session', s.id, u.name, p_status => p_status, p_old => '{"is_active": true}',
		p_new => jsonb_build_object('is_active', false, 'revoked_reason', p_reason), p_actor => coalesce(nullif(app_user_id(), ''), u.id));
	RETURN true;
END
$$;

CREATE FUNCTION may_manage_sessions(p_user text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN app_plugin() = '' AND app_is_known() AND (p_user = app_user_id() OR app_is_admin());
END
$$;

-- Sessions of a user that are not over, newest use first. To one who may not, the user is not there.
CREATE FUNCTION auth_sessions_list(p_user text) RETURNS TABLE (id varchar, user_id varchar, ip_address text, user_agent text, device_name varchar,
	half boolean, by_cookie boolean, created_at timestamptz, last_activity timestamptz, expires_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users := user_find(p_user);
BEGIN
	IF NOT may_manage_sessions(u.id) THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002';
	END IF;
	RETURN QUERY SELECT s.id, s.user_id, host(s.ip_address), s.user_agent, s.device_name, s.half, s.by_cookie, s.created_at, s.last_activity,
		least(s.absolute_expires_at, s.last_activity + s.idle_limit, CASE WHEN s.half THEN s.expires_at END)
	FROM sessions s
	WHERE s.user_id = u.id AND s.is_active AND s.absolute_expires_at > now() AND s.last_activity + s.idle_limit > now()
		AND (NOT s.half OR s.expires_at > now())
	ORDER BY s.last_activity DESC, s.id;
END
$$;

-- False: it was over before.
CREATE FUNCTION auth_session_end(p_session text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	-- To one who may not, another's session and none look alike.
	IF NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = p_session AND may_manage_sessions(s.user_id)) THEN
		RAISE EXCEPTION 'there is no session ''%''', p_session USING ERRCODE = 'P0002', HINT = '''mortise session list'' shows yours.';
	END IF;
	RETURN session_end(p_session, p_reason);
END
$$;

-- All of a user's but the one that asks.
CREATE FUNCTION auth_sessions_end(p_user text, p_reason text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users := user_find(p_user);
BEGIN
	IF NOT may_manage_sessions(u.id) THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002';
	END IF;
	RETURN sessions_end(u.id, p_reason);
END
$$;

CREATE FUNCTION sessions_end(p_user text, p_reason text) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	n integer := 0;
	one varchar;
BEGIN
	FOR one IN SELECT id FROM sessions WHERE user_id = p_user AND is_active AND id <> coalesce(app_setting('app.session_id'), '') ORDER BY id LOOP
		n := n + session_end(one, p_reason)::int;
	END LOOP;
	RETURN n;
END
$$;

-- Whoever changes the user, and however: one who is inactive has no sessions, and one who may do more than before shows his refresh token
-- first, so that no token from before the gain carries it.
CREATE FUNCTION sessions_follow_user() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF NOT NEW.is_active OR NEW.deleted_at IS NOT NULL THEN
		PERFORM session_end(s.id, 'the user is inactive') FROM sessions s WHERE s.user_id = NEW.id AND s.is_active;
		IF NEW.deleted_at IS NOT NULL THEN
			DELETE FROM login_places WHERE user_id = NEW.id;
			DELETE FROM login_attempts WHERE kind IN ('account', 'place') AND split_part(key, ' ', 1) = NEW.id;
		END IF;
	ELSIF NEW.role < OLD.role THEN -- the highest stands first
		UPDATE sessions SET expires_at = greatest(now(), created_at + interval '1 microsecond')
		WHERE user_id = NEW.id AND is_active AND expires_at > now();
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER sessions_follow_user AFTER UPDATE OF is_active, deleted_at, role ON users FOR EACH ROW
	WHEN (NEW.is_active IS DISTINCT FROM OLD.is_active OR NEW.deleted_at IS DISTINCT FROM OLD.deleted_at OR NEW.role IS DISTINCT FROM OLD.role)
	EXECUTE FUNCTION sessions_follow_user();

-- ---- passwords -----------------------------------------------------------------------------------------------------------------------

-- Whose password the asker wants to set, and what may not be in it. ML001: the account has no password here. The hash is the asker's own
-- alone: he has to prove it.
CREATE FUNCTION auth_password_facts(p_user text) RETURNS TABLE (user_id varchar, password varchar, prehashed boolean, denied boolean, own boolean,
	username varchar, name varchar, email varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users := user_find(p_user);
	mine boolean := u.id = app_user_id();
BEGIN
	IF NOT may_manage_sessions(u.id) THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002';
	END IF;
	IF u.provider <> 'local' THEN
		RAISE EXCEPTION 'the account ''%'' has no password here: its provider is ''%''', p_user, u.provider USING ERRCODE = 'ML001';
	END IF;
	RETURN QUERY SELECT u.id, CASE WHEN mine THEN u.password END, u.password_prehashed, false, mine, u.username, u.name, u.email;
END
$$;

-- The asker is about to prove his password: an attempt, counted as a login's is, from here on.
CREATE FUNCTION auth_password_prove(p_address text, p_free integer, p_block interval) RETURNS TABLE (user_id varchar, password varchar,
	prehashed boolean, denied boolean, own boolean, username varchar, name varchar, email varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT f.user_id, f.password, f.prehashed, login_attempt(f.user_id, f.user_id, p_address, p_free, p_block), f.own,
		f.username, f.name, f.email
	FROM auth_password_facts(app_user_id()) f;
END
$$;

-- The password that auth_password_prove() gave was proved, and nothing is changed: take the attempt back.
CREATE FUNCTION auth_password_proved(p_password text, p_address text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	IF app_plugin() <> '' OR NOT EXISTS (SELECT 1 FROM users WHERE id = app_user_id() AND password = p_password AND is_active) THEN
		RETURN false;
	END IF;
	PERFORM login_forgive(app_user_id(), p_address);
	RETURN true;
END
$$;

-- p_current: the hash that the asker has proved to be his; NULL when an administrator sets another's. The asking session gets new tokens,
-- the user's others end where p_end_others says so, and always when it was not he who did it. given is NULL without such a session.
CREATE FUNCTION auth_password_set(p_user text, p_current text, p_password text, p_address text, p_end_others boolean, p_token text,
	p_refresh text) RETURNS TABLE (given session_given, ended integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users;
	s sessions;
	mine boolean := p_user = app_user_id();
	n integer := 0;
BEGIN
	SELECT * INTO u FROM users x WHERE x.id = p_user AND x.provider = 'local' AND x.deleted_at IS NULL FOR NO KEY UPDATE;
	IF u.id IS NULL OR NOT may_manage_sessions(p_user) THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002';
	END IF;
	IF mine AND u.password IS DISTINCT FROM p_current THEN
		RAISE EXCEPTION 'the password was changed by another request' USING ERRCODE = 'MZ012';
	END IF;
	UPDATE users SET password = p_password, password_prehashed = true WHERE id = u.id;
	PERFORM login_forgive(u.id, p_address);
	IF NOT mine OR p_end_others THEN
		n := sessions_end(u.id, 'the password was changed');
	END IF;
	SELECT * INTO s FROM sessions x WHERE x.id = app_setting('app.session_id') AND x.user_id = u.id AND x.is_active FOR NO KEY UPDATE;
	PERFORM audit_write('user.password', 'user', u.id, u.name, p_new => jsonb_build_object('password', '***'),
		p_metadata => jsonb_build_object('sessions_ended', n));
	IF s.id IS NOT NULL THEN
		s := session_rotate(s, p_token, p_refresh);
		RETURN QUERY SELECT session_given_of(s, u), n;
	ELSE
		RETURN QUERY SELECT NULL::session_given, n;
	END IF;
END
$$;
