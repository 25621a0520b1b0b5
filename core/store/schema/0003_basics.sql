-- Ids, settings of the transaction, version order, updated_at.
SET LOCAL search_path = public, pg_temp;

-- c, 8 base-36 digits of milliseconds, 16 random base-36 digits: 25 characters that sort by time.
-- The random digits are base64 of a version 4 UUID, folded to 36 (5.1 bits each), without the two digits that hold its fixed bits.
CREATE FUNCTION generate_cuid() RETURNS varchar
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
	alphabet constant text := '0123456789abcdefghijklmnopqrstuvwxyz';
	ms bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
	random text := translate(lower(encode(uuid_send(gen_random_uuid()), 'base64')), '+/', '09');
BEGIN
	RETURN 'c'
		|| substr(alphabet, (ms / 78364164096 % 36)::int + 1, 1) || substr(alphabet, (ms / 2176782336 % 36)::int + 1, 1)
		|| substr(alphabet, (ms / 60466176 % 36)::int + 1, 1) || substr(alphabet, (ms / 1679616 % 36)::int + 1, 1)
		|| substr(alphabet, (ms / 46656 % 36)::int + 1, 1) || substr(alphabet, (ms / 1296 % 36)::int + 1, 1)
		|| substr(alphabet, (ms / 36 % 36)::int + 1, 1) || substr(alphabet, (ms % 36)::int + 1, 1)
		|| substr(random, 1, 8) || substr(random, 10, 1) || substr(random, 12, 7);
END
$$;

-- Settings of the transaction. Missing and empty both mean nobody: after SET LOCAL a setting is '' on that connection, not NULL.
CREATE FUNCTION app_setting(name text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT nullif(current_setting(name, true), '') $$;

CREATE FUNCTION app_user_id() RETURNS varchar
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT nullif(current_setting('app.current_user_id', true), '')::varchar $$;

CREATE FUNCTION app_plugin() RETURNS varchar
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT coalesce(current_setting('app.current_plugin', true), '')::varchar $$;

-- Sorts as semantic versions do, with COLLATE "C": numbers by length, then digits; a release after its pre-releases; build metadata ignored.
CREATE FUNCTION semver_order(version text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT array_agg(CASE WHEN part ~ '^[0-9]+$' THEN '0' || lpad(length(part)::text, 2, '0') || part ELSE '1' || part END ORDER BY n)
		|| CASE WHEN strpos(v, '-') = 0 THEN ARRAY['~'] ELSE '{}' END
	FROM (SELECT split_part(version, '+', 1) AS v) core,
		LATERAL unnest(string_to_array(regexp_replace(v, '-', '.'), '.')) WITH ORDINALITY parts(part, n)
	GROUP BY v
$$;

CREATE FUNCTION touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	NEW.updated_at := CURRENT_TIMESTAMP;
	RETURN NEW;
END
$$;
