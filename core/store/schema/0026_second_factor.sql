-- Second factors: enrolment, codes of the authenticator, backup codes, codes sent by message.
SET LOCAL search_path = public, pg_temp;
