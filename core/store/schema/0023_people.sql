-- Users, teams and members, as their administrators change them.
SET LOCAL search_path = public, pg_temp;
