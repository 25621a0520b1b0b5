-- Second factors: enrolment, codes of the authenticator, backup codes, codes sent by message.
--
-- What counts stands in users (mfa_enabled, mfa_method, mfa_secret, mfa_backup_codes); here is what keeps it safe: the last used step, the
-- count of wrong codes, what is enrolled but not confirmed. No code is here in the clear: digests come from the host, HMACs under its key
-- ring, and a code is right when its digest under any key of the ring is the stored one.
--
-- Threats: a code is tried twice at once (the row is locked, and a step only grows); codes are guessed over many sessions (each try is
-- counted before it is looked at, per user, and six lock the factor); who knows the password alone enrols a factor of his own (a half
-- session may enrol only where there is none); who stole a session turns the factor off (the host asks for the password and a code again).
SET LOCAL search_path = public, pg_temp;

CREATE TABLE second_factors (
	user_id varchar(30) PRIMARY KEY REFERENCES users ON DELETE CASCADE,
	algorithm varchar(10) NOT NULL DEFAULT 'SHA1' CHECK (algorithm IN ('SHA1', 'SHA256', 'SHA512')),
	digits smallint NOT NULL DEFAULT 6 CHECK (digits BETWEEN 6 AND 8),
	-- Where codes go, as it was proved at enrolment: who changes the user's address later does not move it.
	destination varchar(255),
	last_step bigint NOT NULL DEFAULT 0,
	failures integer NOT NULL DEFAULT 0,
	failed_at timestamptz,
	locked_until timestamptz,
	enrolled_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Begun and not confirmed: one at a time for a user, for a quarter of an hour.
CREATE TABLE second_factor_enrolments (
	user_id varchar(30) PRIMARY KEY REFERENCES users ON DELETE CASCADE,
	method varchar(20) NOT NULL CHECK (method IN ('TOTP', 'SMS', 'EMAIL')),
	secret text CHECK (secret LIKE 'enc:v1:%'),
	algorithm varchar(10) NOT NULL DEFAULT 'SHA1' CHECK (algorithm IN ('SHA1', 'SHA256', 'SHA512')),
	digits smallint NOT NULL DEFAULT 6 CHECK (digits BETWEEN 6 AND 8),
	destination varchar(255),
	failures integer NOT NULL DEFAULT 0,
	expires_at timestamptz NOT NULL,
	CHECK ((method = 'TOTP') = (secret IS NOT NULL)),
	CHECK ((method = 'TOTP') = (destination IS NULL))
);

CREATE TRIGGER envelope_keys BEFORE INSERT OR UPDATE OF secret ON second_factor_enrolments
	FOR EACH ROW EXECUTE FUNCTION check_envelope_keys();

-- The last code that was sent. purpose 'enrol' went to an address that is being proved, 'use' to the proved one. sent counts from since on.
CREATE TABLE second_factor_messages (
	user_id varchar(30) NOT NULL REFERENCES users ON DELETE CASCADE,
	purpose varchar(10) NOT NULL CHECK (purpose IN ('enrol', 'use')),
	session_id varchar(30) NOT NULL,
	code_digest varchar(64) CHECK (code_digest ~ '^[0-9a-f]{64}$'),
	expires_at timestamptz NOT NULL,
	sent_at timestamptz NOT NULL,
	sent integer NOT NULL,
	since timestamptz NOT NULL,
	PRIMARY KEY (user_id, purpose)
);

INSERT INTO data_classification(table_name, column_name, classification, contains_pii, contains_phi, encryption_required, retention_days) VALUES
	('second_factors', '*', 'restricted', false, false, false, 2555),
	('second_factors', 'destination', 'confidential', true, false, false, 2555),
	('second_factor_enrolments', '*', 'restricted', false, false, false, 1),
	('second_factor_enrolments', 'secret', 'restricted', false, false, true, 1),
	('second_factor_enrolments', 'destination', 'confidential', true, false, false, 1),
	('second_factor_messages', '*', 'restricted', false, false, false, 1),
	('second_factor_messages', 'code_digest', 'restricted', false, false, true, 1)
ON CONFLICT DO NOTHING;

-- Nothing of it outlives its user, also when his row stays for the audit's sake.
CREATE FUNCTION second_factor_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	DELETE FROM second_factors WHERE user_id = NEW.id;
	DELETE FROM second_factor_enrolments WHERE user_id = NEW.id;
	DELETE FROM second_factor_messages WHERE user_id = NEW.id;
	RETURN NULL;
END
$$;
CREATE TRIGGER second_factor_forget AFTER UPDATE OF deleted_at ON users
	FOR EACH ROW WHEN (NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION second_factor_forget();

-- ---- who owes what -----------------------------------------------------------------------------

-- auth.second_factor of the environment, else of all: optional, admins or everyone.
CREATE FUNCTION second_factor_policy() RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN coalesce((SELECT value #>> '{}' FROM host_settings
		WHERE name = 'auth.second_factor' AND environment IN ('', app_setting('app.environment'))
		ORDER BY environment DESC LIMIT 1), 'optional');
END
$$;

-- The user must have a second factor, whether he has one or not. Accounts that nobody logs in to owe none.
CREATE FUNCTION second_factor_owed(p_user text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM users WHERE id = p_user AND provider NOT IN ('plugin', 'team', 'system')
		AND CASE second_factor_policy() WHEN 'everyone' THEN true WHEN 'admins' THEN role = 'ADMIN' ELSE false END);
END
$$;

-- By what the user finishes a login. NULL: he has no second factor.
CREATE FUNCTION second_factor_methods(p_user text) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN (SELECT ARRAY[mfa_method::text] || CASE WHEN cardinality(mfa_backup_codes) > 0 THEN ARRAY['BACKUP'] ELSE '{}' END
		FROM users WHERE id = p_user AND mfa_enabled);
END
$$;

-- Sessions that began before their user owed a factor owe it now: the rule changed, he may do more, or his factor was taken away.
CREATE FUNCTION second_factor_demand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	UPDATE sessions s SET half = true FROM users u WHERE u.id = s.user_id AND s.is_active AND NOT s.half AND NOT u.mfa_enabled
		AND (TG_TABLE_NAME <> 'users' OR u.id = to_jsonb(NEW) ->> 'id') AND second_factor_owed(u.id);
	RETURN NULL;
END
$$;
CREATE TRIGGER second_factor_demand AFTER INSERT OR UPDATE ON host_settings
	FOR EACH ROW WHEN (NEW.name = 'auth.second_factor') EXECUTE FUNCTION second_factor_demand();
CREATE TRIGGER second_factor_demand AFTER UPDATE OF role, mfa_enabled ON users
	FOR EACH ROW WHEN (NOT NEW.mfa_enabled) EXECUTE FUNCTION second_factor_demand();

-- ---- the asker ---------------------------------------------------------------------------------

-- The asker's row, locked, so that two requests of one user go one after the other.
CREATE FUNCTION second_factor_asker() RETURNS users
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	asker users;
BEGIN
	SELECT * INTO asker FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL FOR NO KEY UPDATE;
	IF asker.id IS NULL OR app_plugin() <> '' OR asker.provider IN ('plugin', 'team', 'system') THEN
		RAISE EXCEPTION 'this account has no second factor' USING ERRCODE = '42501',
			HINT = 'Second factors belong to people: log in as one.';
	END IF;
	RETURN asker;
END
$$;

-- The asker's session still owes the second factor.
CREATE FUNCTION second_factor_half() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM sessions WHERE id = app_setting('app.session_id') AND user_id = app_user_id() AND half);
END
$$;

-- What the asker must show again before a factor is changed. fresh: his session is whole and no older than p_fresh.
CREATE FUNCTION second_factor_proof(p_fresh interval) RETURNS TABLE (fresh boolean, enabled boolean, method varchar, has_password boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
BEGIN
	-- A half session of a user without a factor has just shown all there is; with one, it shows the factor first.
	IF asker.mfa_enabled AND second_factor_half() THEN
		RAISE EXCEPTION 'the session still owes a second factor' USING ERRCODE = 'M2F00';
	END IF;
	RETURN QUERY SELECT EXISTS (SELECT 1 FROM sessions s WHERE s.id = app_setting('app.session_id') AND s.user_id = asker.id
			AND s.is_active AND s.created_at > clock_timestamp() - p_fresh),
		asker.mfa_enabled, asker.mfa_method, asker.password IS NOT NULL;
END
$$;

-- ---- trying codes ------------------------------------------------------------------------------

-- A try of the asker's factor, counted before anything is looked at: what fails later, or never comes back, has counted. retry_after_s
-- above 0: the factor is locked, this is no try and the other columns are NULL.
CREATE FUNCTION second_factor_try() RETURNS TABLE (method varchar, secret text, algorithm varchar, digits smallint, last_step bigint,
	retry_after_s integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
	factor second_factors;
	at timestamptz := clock_timestamp();
BEGIN
	IF NOT asker.mfa_enabled THEN
		RAISE EXCEPTION 'no second factor is enrolled' USING ERRCODE = 'M2F03';
	END IF;
	INSERT INTO second_factors(user_id) VALUES (asker.id) ON CONFLICT DO NOTHING;
	SELECT * INTO factor FROM second_factors WHERE user_id = asker.id;
	IF factor.locked_until > at THEN
		RETURN QUERY SELECT NULL::varchar, NULL::text, NULL::varchar, NULL::smallint, NULL::bigint,
			greatest(1, ceil(extract(epoch FROM factor.locked_until - at)))::integer;
		RETURN;
	END IF;
	-- A day without a wrong code is a new beginning. From the sixth on each locks, for 1, 2, 4 ... minutes, an hour at most.
	IF factor.failed_at < at - interval '1 day' THEN
		factor.failures := 0;
	END IF;
	factor.failures := factor.failures + 1;
	UPDATE second_factors SET failures = factor.failures, failed_at = at, locked_until = CASE WHEN factor.failures >= 6
		THEN at + least(interval '1 hour', interval '1 minute' * 2 ^ least(factor.failures - 6, 6)) END WHERE user_id = asker.id;
	UPDATE sessions SET factor_failures = factor_failures + 1 WHERE id = app_setting('app.session_id') AND user_id = asker.id AND half;
	RETURN QUERY SELECT asker.mfa_method, asker.mfa_secret, factor.algorithm, factor.digits, factor.last_step, 0;
END
$$;

-- How the try ended. One of: p_step, the authenticator's step that the host found (0: none); p_backup, p_message, the digests of a code
-- under each key of the ring. tell: the user's address, when this was the try that locked the factor.
CREATE FUNCTION second_factor_judge(p_step bigint, p_backup text[], p_message text[]) RETURNS TABLE (passed boolean, tell varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
	good boolean;
	failed integer;
	kind text;
BEGIN
	IF NOT asker.mfa_enabled THEN
		RAISE EXCEPTION 'no second factor is enrolled' USING ERRCODE = 'M2F03';
	END IF;
	IF p_backup IS NOT NULL THEN
		kind := 'BACKUP';
		UPDATE users SET mfa_backup_codes = ARRAY(SELECT c FROM unnest(mfa_backup_codes) c WHERE c <> ALL (p_backup))
		WHERE id = asker.id AND mfa_backup_codes && p_backup;
		good := FOUND;
	ELSIF p_message IS NOT NULL THEN
		kind := asker.mfa_method;
		UPDATE second_factor_messages SET code_digest = NULL WHERE user_id = asker.id AND purpose = 'use'
			AND session_id = coalesce(app_setting('app.session_id'), '') AND expires_at > clock_timestamp() AND code_digest = ANY (p_message);
		good := FOUND AND asker.mfa_method IN ('SMS', 'EMAIL');
	ELSE
		kind := 'TOTP';
		-- A step once, and none after a newer one.
		UPDATE second_factors SET last_step = p_step WHERE user_id = asker.id AND last_step < p_step;
		good := FOUND AND asker.mfa_method = 'TOTP';
	END IF;
	IF good THEN
		UPDATE second_factors SET failures = 0, failed_at = NULL, locked_until = NULL WHERE user_id = asker.id;
		PERFORM audit_write('second_factor.pass', 'user', asker.id, asker.name, p_metadata => jsonb_build_object('method', kind));
		RETURN QUERY SELECT true, NULL::varchar;
		RETURN;
	END IF;
	SELECT failures INTO failed FROM second_factors WHERE user_id = asker.id;
	PERFORM session_end(s.id, 'too many wrong codes', 'failure') FROM sessions s
	WHERE s.user_id = asker.id AND s.half AND s.is_active AND (s.factor_failures >= 6 OR failed >= 6);
	PERFORM audit_write('second_factor.fail', 'user', asker.id, asker.name, p_status => 'failure', p_error => 'the code is wrong or was used',
		p_metadata => jsonb_build_object('method', kind, 'failures', failed));
	RETURN QUERY SELECT false, CASE WHEN failed = 6 THEN asker.email END;
END
$$;

-- ---- codes by message --------------------------------------------------------------------------

-- Note a code that is about to be sent; the one before counts no more. At most one in half a minute and five in an hour: retry_after_s.
CREATE FUNCTION second_factor_message(p_user text, p_purpose text, p_digest text) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	m second_factor_messages;
	at timestamptz := clock_timestamp();
	free_at timestamptz;
BEGIN
	SELECT * INTO m FROM second_factor_messages WHERE user_id = p_user AND purpose = p_purpose FOR UPDATE;
	IF m.user_id IS NULL OR m.since < at - interval '1 hour' THEN
		m.sent := 0;
		m.since := at;
	END IF;
	free_at := CASE WHEN m.sent >= 5 THEN m.since + interval '1 hour' ELSE m.sent_at + interval '30 seconds' END;
	IF free_at > at THEN
		RETURN greatest(1, ceil(extract(epoch FROM free_at - at)))::integer;
	END IF;
	INSERT INTO second_factor_messages(user_id, purpose, session_id, code_digest, expires_at, sent_at, sent, since)
	VALUES (p_user, p_purpose, coalesce(app_setting('app.session_id'), ''), p_digest, at + interval '10 minutes', at, 1, at)
	ON CONFLICT (user_id, purpose) DO UPDATE SET session_id = EXCLUDED.session_id, code_digest = EXCLUDED.code_digest,
		expires_at = EXCLUDED.expires_at, sent_at = at, sent = m.sent + 1, since = m.since;
	RETURN 0;
END
$$;

-- Note a code for the asker's message factor. The host sends it to destination, unless retry_after_s is above 0.
CREATE FUNCTION second_factor_send(p_method text, p_digest text) RETURNS TABLE (destination varchar, expires_at timestamptz, retry_after_s integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
BEGIN
	IF NOT asker.mfa_enabled OR asker.mfa_method <> p_method THEN
		RAISE EXCEPTION 'the second factor is not ''%''', p_method USING ERRCODE = 'M2F03';
	END IF;
	RETURN QUERY SELECT f.destination, clock_timestamp() + interval '10 minutes', second_factor_message(asker.id, 'use', p_digest) FROM second_factors f WHERE f.user_id = asker.id;
END
$$;

-- ---- enrolment ---------------------------------------------------------------------------------

-- Begin one; the one before is dropped. p_secret for TOTP; p_digest of the code that goes to destination for the others.
CREATE FUNCTION second_factor_enrol(p_method text, p_secret text, p_algorithm text, p_digits integer, p_phone text, p_digest text)
	RETURNS TABLE (destination varchar, expires_at timestamptz, retry_after_s integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
	v_to varchar := CASE p_method WHEN 'EMAIL' THEN asker.email WHEN 'SMS' THEN coalesce(p_phone, asker.phone_number) END;
	v_until timestamptz := clock_timestamp() + interval '15 minutes';
	v_wait integer := 0;
BEGIN
	IF asker.mfa_enabled AND second_factor_half() THEN
		RAISE EXCEPTION 'the session still owes a second factor' USING ERRCODE = 'M2F00';
	END IF;
	IF p_method <> 'TOTP' THEN
		IF v_to IS NULL OR (p_method = 'SMS' AND v_to !~ '^\+[1-9][0-9]{6,14}$') THEN
			RAISE EXCEPTION 'there is no phone number to send a code to' USING ERRCODE = 'M2F05',
				HINT = 'Give one in the form +14155550100.';
		END IF;
		v_wait := second_factor_message(asker.id, 'enrol', p_digest);
		IF v_wait > 0 THEN
			RETURN QUERY SELECT v_to, v_until, v_wait;
			RETURN;
		END IF;
	END IF;
	INSERT INTO second_factor_enrolments AS e(user_id, method, secret, algorithm, digits, destination, expires_at)
	VALUES (asker.id, p_method, p_secret, coalesce(p_algorithm, 'SHA1'), coalesce(p_digits, 6), v_to, v_until)
	ON CONFLICT (user_id) DO UPDATE SET method = EXCLUDED.method, secret = EXCLUDED.secret, algorithm = EXCLUDED.algorithm,
		digits = EXCLUDED.digits, destination = EXCLUDED.destination, failures = 0, expires_at = EXCLUDED.expires_at;
	PERFORM audit_write('second_factor.begin', 'user', asker.id, asker.name, p_new => jsonb_build_object('mfa_method', p_method));
	RETURN QUERY SELECT v_to, v_until, 0;
END
$$;

-- A try to confirm the asker's enrolment, counted first. Six are too many: then it must begin again.
CREATE FUNCTION second_factor_enrolment(p_method text) RETURNS TABLE (secret text, algorithm varchar, digits smallint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
	e second_factor_enrolments;
BEGIN
	IF asker.mfa_enabled AND second_factor_half() THEN
		RAISE EXCEPTION 'the session still owes a second factor' USING ERRCODE = 'M2F00';
	END IF;
	UPDATE second_factor_enrolments u SET failures = u.failures + 1
	WHERE u.user_id = asker.id AND u.method = p_method AND u.expires_at > clock_timestamp() AND u.failures < 6 RETURNING * INTO e;
	IF e.user_id IS NULL THEN
		RAISE EXCEPTION 'no enrolment waits for a code' USING ERRCODE = 'M2F03', HINT = 'Begin it, or begin it again.';
	END IF;
	RETURN QUERY SELECT e.secret, e.algorithm, e.digits;
END
$$;

-- The enrolment counts from here on, when its code was right: NULL when it was not, else whom to tell. p_step: the step that the host found, 0 for none;
-- p_message: digests of a sent code; p_backup: digests of the new backup codes.
CREATE FUNCTION second_factor_confirm(p_method text, p_step bigint, p_message text[], p_backup text[]) RETURNS varchar
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
	e second_factor_enrolments;
	proved boolean;
BEGIN
	SELECT * INTO e FROM second_factor_enrolments WHERE user_id = asker.id AND method = p_method AND expires_at > clock_timestamp() FOR UPDATE;
	IF e.user_id IS NULL THEN
		RAISE EXCEPTION 'no enrolment waits for a code' USING ERRCODE = 'M2F03', HINT = 'Begin it, or begin it again.';
	END IF;
	IF asker.mfa_enabled AND second_factor_half() THEN
		RAISE EXCEPTION 'the session still owes a second factor' USING ERRCODE = 'M2F00';
	END IF;
	IF p_method = 'TOTP' THEN
		proved := p_step > 0;
	ELSE
		proved := EXISTS (SELECT 1 FROM second_factor_messages WHERE user_id = asker.id AND purpose = 'enrol'
			AND session_id = coalesce(app_setting('app.session_id'), '') AND expires_at > clock_timestamp() AND code_digest = ANY (p_message));
	END IF;
	IF proved IS NOT TRUE THEN
		PERFORM audit_write('second_factor.enable', 'user', asker.id, asker.name, p_status => 'failure', p_error => 'the code is wrong',
			p_new => jsonb_build_object('mfa_method', p_method));
		RETURN NULL;
	END IF;
	UPDATE users SET mfa_enabled = true, mfa_method = p_method, mfa_secret = e.secret, mfa_backup_codes = p_backup WHERE id = asker.id;
	INSERT INTO second_factors(user_id, algorithm, digits, destination, last_step)
	VALUES (asker.id, e.algorithm, e.digits, e.destination, coalesce(p_step, 0))
	ON CONFLICT (user_id) DO UPDATE SET algorithm = EXCLUDED.algorithm, digits = EXCLUDED.digits, destination = EXCLUDED.destination,
		last_step = EXCLUDED.last_step, failures = 0, failed_at = NULL, locked_until = NULL, enrolled_at = now();
	DELETE FROM second_factor_enrolments WHERE user_id = asker.id;
	DELETE FROM second_factor_messages WHERE user_id = asker.id;
	PERFORM second_factor_changed('second_factor.enable', asker, true, p_method);
	RETURN asker.email;
END
$$;

-- One audit row and one event for a factor that came, went or got new backup codes.
CREATE FUNCTION second_factor_changed(p_action text, p_user users, p_enabled boolean, p_method text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	PERFORM audit_write(p_action, 'user', p_user.id, p_user.name,
		jsonb_build_object('mfa_enabled', p_user.mfa_enabled, 'mfa_method', p_user.mfa_method),
		jsonb_build_object('mfa_enabled', p_enabled, 'mfa_method', p_method));
	INSERT INTO events(event_type, event_category, user_id, data, source, ip_address)
	VALUES (p_action, 'security', p_user.id, jsonb_build_object('method', coalesce(p_method, p_user.mfa_method), 'by', app_user_id()),
		'mortise', app_address());
END
$$;

-- ---- looking, changing, ending -----------------------------------------------------------------

-- The user of these functions: the asker himself, or anyone for an administrator; to others he is not there.
CREATE FUNCTION second_factor_subject(p_user text) RETURNS users
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	subject users := user_find(p_user);
BEGIN
	IF app_plugin() <> '' OR NOT app_is_known() OR NOT (subject.id = app_user_id() OR app_is_admin()) THEN
		RAISE EXCEPTION 'there is no user ''%''', p_user USING ERRCODE = 'P0002', HINT = 'The second factor of another is for administrators.';
	END IF;
	RETURN subject;
END
$$;

CREATE FUNCTION second_factor_status(p_user text) RETURNS TABLE (user_id varchar, account varchar, enabled boolean, method varchar, owed boolean, destination varchar,
	backup_codes integer, enrolled_at timestamptz, locked_until timestamptz, pending varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users := second_factor_subject(p_user);
BEGIN
	RETURN QUERY SELECT u.id, coalesce(u.username, u.email), u.mfa_enabled, CASE WHEN u.mfa_enabled THEN u.mfa_method END, second_factor_owed(u.id), f.destination,
		coalesce(cardinality(u.mfa_backup_codes), 0), f.enrolled_at, CASE WHEN f.locked_until > clock_timestamp() THEN f.locked_until END, e.method
	FROM (SELECT 1) one
	LEFT JOIN second_factors f ON f.user_id = u.id
	LEFT JOIN second_factor_enrolments e ON e.user_id = u.id AND e.expires_at > clock_timestamp();
END
$$;

-- The factor is gone: by its owner, unless he owes one, or by an administrator for another. The row says whom to tell.
CREATE FUNCTION second_factor_disable(p_user text) RETURNS TABLE (email varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	u users := second_factor_subject(p_user);
	own boolean := u.id = app_user_id();
BEGIN
	SELECT * INTO u FROM users WHERE id = u.id FOR NO KEY UPDATE;
	IF own AND second_factor_half() THEN
		RAISE EXCEPTION 'the session still owes a second factor' USING ERRCODE = 'M2F00';
	END IF;
	IF NOT u.mfa_enabled THEN
		RAISE EXCEPTION 'no second factor is enrolled' USING ERRCODE = 'M2F03';
	END IF;
	IF own AND second_factor_owed(u.id) THEN
		RAISE EXCEPTION 'the second factor is owed: ''auth.second_factor'' is ''%''', second_factor_policy() USING ERRCODE = 'M2F04';
	END IF;
	UPDATE users SET mfa_enabled = false, mfa_method = NULL, mfa_secret = NULL, mfa_backup_codes = NULL WHERE id = u.id;
	DELETE FROM second_factors WHERE user_id = u.id;
	DELETE FROM second_factor_enrolments WHERE user_id = u.id;
	DELETE FROM second_factor_messages WHERE user_id = u.id;
	PERFORM second_factor_changed(CASE WHEN own THEN 'second_factor.disable' ELSE 'second_factor.reset' END, u, false, NULL);
	RETURN QUERY SELECT u.email;
END
$$;

-- A new set of backup codes; the old ones count no more.
CREATE FUNCTION second_factor_backup(p_backup text[]) RETURNS TABLE (email varchar)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	asker users := second_factor_asker();
BEGIN
	IF NOT asker.mfa_enabled OR second_factor_half() THEN
		RAISE EXCEPTION 'no second factor is enrolled' USING ERRCODE = 'M2F03';
	END IF;
	UPDATE users SET mfa_backup_codes = p_backup WHERE id = asker.id;
	PERFORM second_factor_changed('second_factor.backup_codes', asker, true, asker.mfa_method);
	RETURN QUERY SELECT asker.email;
END
$$;
