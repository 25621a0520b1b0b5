-- How many requests of an hour a node may still admit for a key.
SET LOCAL search_path = public, pg_temp;
