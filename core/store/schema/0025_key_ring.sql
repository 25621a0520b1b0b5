-- Envelopes at work: secrets of plugins, and what a rotation of the master key must seal anew.
SET LOCAL search_path = public, pg_temp;
