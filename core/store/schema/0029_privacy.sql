-- Privacy requests: export, erasure, rectification, restriction.
SET LOCAL search_path = public, pg_temp;
