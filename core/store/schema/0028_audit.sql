-- The audit trail's chain, its seals, and what is written of refusals.
SET LOCAL search_path = public, pg_temp;
