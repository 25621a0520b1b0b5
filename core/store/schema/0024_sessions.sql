-- Local login and sessions.
SET LOCAL search_path = public, pg_temp;
