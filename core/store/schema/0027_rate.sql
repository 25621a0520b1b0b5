-- How many requests of an hour a node may still admit for a key.
--
-- The hour is the database's, in UTC; a node takes blocks out of it and admits from what it holds, so no clock of a node counts and all
-- nodes together never admit more than the limit. What a node took and does not use (because it ended, or nobody asked it again) is lost
-- to that hour: at most as much as it has admitted, and at most an eighth of what was left when it asked.
SET LOCAL search_path = public, pg_temp;

-- One row a key, of its last hour with requests.
CREATE TABLE rate_windows (
	key_id varchar(30) PRIMARY KEY REFERENCES api_keys ON DELETE CASCADE,
	hour timestamptz NOT NULL,
	taken integer NOT NULL CHECK (taken >= 0)
);

-- Take p_need requests, and up to p_extra more while there are plenty: near its end an hour is given out one by one, so that its last
-- request is not held by a node that nobody asks. No row: there is no such key.
CREATE FUNCTION auth_rate_take(p_key_hash text, p_need integer, p_extra integer)
	RETURNS TABLE (granted integer, rest integer, key_limit integer, ends_in_ms bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
	plenty constant integer := 64;
	share constant integer := 8;
	v_key varchar;
	v_row rate_windows;
	v_now timestamptz;
	v_left integer;
BEGIN
	SELECT k.id, k.rate_limit INTO v_key, key_limit FROM api_keys k WHERE k.key_hash = p_key_hash;
	IF v_key IS NULL THEN
		RETURN;
	END IF;
	INSERT INTO rate_windows(key_id, hour, taken) VALUES (v_key, '-infinity', 0) ON CONFLICT DO NOTHING;
	SELECT * INTO v_row FROM rate_windows w WHERE w.key_id = v_key FOR UPDATE;
	-- Only now: whoever waited for the row may have waited into the next hour.
	v_now := clock_timestamp();
	IF v_row.hour < date_trunc('hour', v_now, 'UTC') THEN
		v_row.hour := date_trunc('hour', v_now, 'UTC');
		v_row.taken := 0;
	END IF;
	v_left := greatest(key_limit - v_row.taken, 0);
	granted := least(greatest(p_need, 0), v_left);
	v_left := v_left - granted;
	IF v_left >= plenty THEN
		granted := granted + least(greatest(p_extra, 0), v_left / share);
		v_left := v_left - least(greatest(p_extra, 0), v_left / share);
	END IF;
	UPDATE rate_windows w SET hour = v_row.hour, taken = v_row.taken + granted WHERE w.key_id = v_key;
	rest := v_left;
	ends_in_ms := floor(extract(epoch FROM v_row.hour + interval '1 hour' - v_now) * 1000)::bigint;
	RETURN NEXT;
END
$$;
