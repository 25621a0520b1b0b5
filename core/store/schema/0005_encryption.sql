-- Envelopes enc:v1:<key id>:<base64 of iv(16) | AES-256-CBC ciphertext | HMAC-SHA-256 tag(32)>.
--
-- The host makes and opens them with OpenSSL; this is the same form for migration and repair, and the net under users.mfa_secret.
-- The master key (base64, 32 bytes) is read from app.encryption_key, its id from app.encryption_key_id (default k1).
-- The context names the place, so that an envelope moved to another row fails.
SET LOCAL search_path = public, pg_temp;

CREATE FUNCTION encryption_master() RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
	master bytea;
BEGIN
	BEGIN
		master := decode(coalesce(app_setting('app.encryption_key'), ''), 'base64');
	EXCEPTION WHEN invalid_parameter_value THEN
		master := '';
	END;
	IF length(master) <> 32 THEN
		RAISE EXCEPTION 'no encryption key of 32 bytes in app.encryption_key' USING ERRCODE = '22023';
	END IF;
	RETURN master;
END
$$;

CREATE FUNCTION encryption_tag(master bytea, key_id text, context text, sealed bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
	SELECT hmac(convert_to('v1:' || key_id || ':' || context, 'UTF8') || '\x00'::bytea || sealed, hmac('mac'::bytea, master, 'sha256'), 'sha256')
$$;

CREATE FUNCTION encrypt_sensitive(data text, context text DEFAULT '') RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	master bytea := encryption_master();
	key_id text := coalesce(app_setting('app.encryption_key_id'), 'k1');
	iv bytea := gen_random_bytes(16);
	sealed bytea;
BEGIN
	IF data IS NULL THEN
		RETURN NULL;
	END IF;
	IF key_id !~ '^[A-Za-z0-9._-]{1,64}$' THEN
		RAISE EXCEPTION 'key id ''%'' is malformed', key_id USING ERRCODE = '22023';
	END IF;
	sealed := iv || encrypt_iv(convert_to(data, 'UTF8'), hmac('enc'::bytea, master, 'sha256'), iv, 'aes-cbc/pad:pkcs');
	RETURN 'enc:v1:' || key_id || ':'
		|| translate(encode(sealed || encryption_tag(master, key_id, context, sealed), 'base64'), E'\n', '');
END
$$;

CREATE FUNCTION decrypt_sensitive(envelope text, context text DEFAULT '') RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	master bytea := encryption_master();
	part text[] := regexp_match(envelope, '^enc:v1:([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/=]+)$');
	raw bytea;
	sealed bytea;
BEGIN
	IF envelope IS NULL THEN
		RETURN NULL;
	END IF;
	raw := decode(part[2], 'base64');
	-- Smallest: iv, one block, tag. Compared as digests of the tags, so that the time taken tells nothing about them.
	IF raw IS NULL OR length(raw) < 64 OR (length(raw) - 48) % 16 <> 0 THEN
		RAISE EXCEPTION 'not an enc:v1 envelope' USING ERRCODE = '22023';
	END IF;
	sealed := substr(raw, 1, length(raw) - 32);
	IF sha256(encryption_tag(master, part[1], context, sealed)) <> sha256(substr(raw, length(raw) - 31)) THEN
		RAISE EXCEPTION 'envelope is damaged, moved or sealed with another key' USING ERRCODE = '22023';
	END IF;
	RETURN convert_from(decrypt_iv(substr(sealed, 17), hmac('enc'::bytea, master, 'sha256'), substr(sealed, 1, 16), 'aes-cbc/pad:pkcs'), 'UTF8');
END
$$;

-- An envelope passes unchanged, so an update never encrypts twice; a plain secret is sealed if there is a key, else refused.
CREATE FUNCTION encrypt_mfa_secret() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF NEW.mfa_secret IS NOT NULL AND NEW.mfa_secret NOT LIKE 'enc:v1:%' THEN
		NEW.mfa_secret := encrypt_sensitive(NEW.mfa_secret, 'users.mfa_secret:' || NEW.id);
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER encrypt_mfa_trigger BEFORE INSERT OR UPDATE OF mfa_secret ON users
	FOR EACH ROW EXECUTE FUNCTION encrypt_mfa_secret();
