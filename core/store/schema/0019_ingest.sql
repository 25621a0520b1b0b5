-- Bulk writing of the catalog, and walking it.
--
-- Everything here runs as the asker, through the policies. Sets, not rows: a batch of some thousands is a handful of statements.
-- The planner knows neither the length of an array nor a table that grew a second ago, and has picked loops over whole tables. So the
-- two writers find each row by an index look-up of its own (LATERAL ... LIMIT 1), write by primary key, and allow no other joins: no size
-- makes that wrong. JIT costs more than a batch.
-- What did not change is not written; what a sync saw is noted in an unlogged table, so a re-import costs no row and no log of the catalog.
SET LOCAL search_path = public, pg_temp;

CREATE TABLE catalog_syncs (
	id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	provider varchar(100) NOT NULL,
	state varchar(20) NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'abandoned')),
	seen bigint NOT NULL DEFAULT 0,
	result jsonb,
	started_by varchar(30) REFERENCES users,
	started_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	finished_at timestamptz
);
CREATE UNIQUE INDEX catalog_syncs_one_running ON catalog_syncs (provider) WHERE state = 'running';

-- Emptied by a crash of the server; catalog_syncs.seen, which is logged, then tells that rows are lost.
CREATE UNLOGGED TABLE catalog_sync_seen (
	sync_id bigint NOT NULL,
	row_id varchar(30) NOT NULL
);

-- A plugin's syncs are its own, whoever it asks for; a person's are those that he began for no plugin, or all of them for elevated people.
ALTER TABLE catalog_syncs ENABLE ROW LEVEL SECURITY;
CREATE POLICY catalog_syncs_own ON catalog_syncs FOR ALL TO application_role
	USING ((SELECT app_is_known()) AND CASE WHEN (SELECT app_plugin()) <> '' THEN provider = (SELECT app_plugin())
		ELSE started_by = (SELECT app_user_id()) OR (SELECT app_is_elevated()) END)
	WITH CHECK ((SELECT app_is_known()) AND CASE WHEN (SELECT app_plugin()) <> '' THEN provider = (SELECT app_plugin())
		ELSE (started_by = (SELECT app_user_id()) AND NOT EXISTS (SELECT 1 FROM users u WHERE u.provider = 'plugin' AND u.provider_id = catalog_syncs.provider))
			OR (SELECT app_is_elevated()) END);
ALTER TABLE catalog_sync_seen ENABLE ROW LEVEL SECURITY;
CREATE POLICY catalog_sync_seen_own ON catalog_sync_seen FOR ALL TO application_role
	USING (sync_id IN (SELECT s.id FROM catalog_syncs s)) WITH CHECK (sync_id IN (SELECT s.id FROM catalog_syncs s));

CREATE FUNCTION catalog_provider_check(p_provider text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
	IF coalesce(p_provider, '') = '' THEN
		RAISE EXCEPTION 'no provider is named' USING ERRCODE = '22023';
	ELSIF NOT app_is_known() OR app_plugin() NOT IN ('', p_provider) THEN
		RAISE EXCEPTION 'the asker may not write for provider ''%''', p_provider USING ERRCODE = '42501';
	END IF;
END
$$;

-- Notes rows as seen; refuses a sync that is over or another provider's. The row lock keeps finish out meanwhile.
CREATE FUNCTION catalog_sync_note(p_provider text, p_sync bigint, p_ids varchar[]) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	IF p_sync IS NULL THEN
		RETURN;
	END IF;
	UPDATE catalog_syncs SET seen = seen + cardinality(p_ids) WHERE id = p_sync AND provider = p_provider AND state = 'running';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'sync % of ''%'' is not running', p_sync, p_provider USING ERRCODE = 'MK001', HINT = 'Begin a new sync.';
	END IF;
	INSERT INTO catalog_sync_seen(sync_id, row_id) SELECT p_sync, x FROM unnest(p_ids) x;
END
$$;

-- One element of a batch: as given, checked and completed; then with what was found for it. state: new, same, changed, renamed.
CREATE TYPE catalog_entity AS (key text, name text, display_name text, description text, type service_type, lifecycle lifecycle_stage, tags text[],
	labels jsonb, annotations jsonb, metadata jsonb, repository_url text, documentation_url text, team text, team_display_name text,
	team_id varchar, service_id varchar, state text);
CREATE TYPE catalog_edge AS (source_id varchar, target_id varchar, type relationship_type, metadata jsonb, strength numeric(3,2),
	relationship_id varchar, state text);

CREATE FUNCTION catalog_apply(p_provider text, p_entities jsonb, p_create_teams boolean DEFAULT false, p_sync bigint DEFAULT NULL,
	p_operation text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path FROM CURRENT
	SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'catalog.apply');
	-- Read once: enum_range() looks its values up at every call.
	types constant text[] := enum_range(NULL::service_type)::text[];
	lifecycles constant text[] := enum_range(NULL::lifecycle_stage)::text[];
	batch catalog_entity[];
	conflicts jsonb := '[]';
	bad jsonb;
	v_created varchar[];
	v_keys text[];
	v_written varchar[];
	v_renamed bigint := 0;
	v_teams bigint := 0;
	renamed catalog_entity;
	v_result jsonb;
BEGIN
	IF done.operation IS NOT NULL THEN
		RETURN done.result;
	END IF;
	PERFORM catalog_provider_check(p_provider);

	-- Parsed once. Of two entities with one key the first counts.
	SELECT coalesce(array_agg(e) FILTER (WHERE reason IS NULL), '{}'),
		coalesce(jsonb_agg(jsonb_build_object('key', (e).key, 'name', (e).name, 'reason', reason)) FILTER (WHERE reason IS NOT NULL), '[]')
	INTO batch, conflicts
	FROM (
		SELECT x.e, CASE
			WHEN coalesce(x.key, '') = '' OR length(x.key) > 512 OR coalesce(x.name, '') = '' OR length(x.name) > 255
				OR length(x.team) > 100 OR length(x.team_display_name) > 255 OR length(x.display_name) > 255
				OR length(x.repository_url) > 500 OR length(x.documentation_url) > 500
				OR x.raw_type IS NOT NULL AND x.raw_type <> ALL (types)
				OR x.raw_lifecycle IS NOT NULL AND x.raw_lifecycle <> ALL (lifecycles)
				OR 'object' <> ANY (ARRAY[coalesce(jsonb_typeof(x.labels), 'object'), coalesce(jsonb_typeof(x.annotations), 'object'), coalesce(jsonb_typeof(x.metadata), 'object')])
				OR coalesce(jsonb_typeof(x.tags), 'array') <> 'array'
				THEN 'invalid'
			WHEN row_number() OVER (PARTITION BY x.key ORDER BY x.n) > 1
				OR row_number() OVER (PARTITION BY x.name ORDER BY x.n) > 1 THEN 'duplicate'
			END AS reason
		FROM (
			SELECT j.n, r.key, r.name, r.team, r.team_display_name, r.display_name, r.repository_url, r.documentation_url, r.type AS raw_type,
				r.lifecycle AS raw_lifecycle, r.labels, r.annotations, r.metadata, r.tags,
				ROW(r.key, r.name, coalesce(nullif(r.display_name, ''), r.name), r.description,
					CASE WHEN r.type = ANY (types) THEN r.type::service_type ELSE 'service' END,
					CASE WHEN r.lifecycle = ANY (lifecycles) THEN r.lifecycle::lifecycle_stage ELSE 'production' END,
					json_texts(r.tags), coalesce(r.labels, '{}'), coalesce(r.annotations, '{}'),
					coalesce(r.metadata, '{}') || jsonb_strip_nulls(jsonb_build_object('homepage', r.homepage, 'version', r.version)),
					r.repository_url, r.documentation_url, r.team, r.team_display_name, NULL, NULL, NULL)::catalog_entity AS e
			FROM jsonb_array_elements(p_entities) WITH ORDINALITY j(o, n),
				LATERAL jsonb_to_record(j.o) AS r(key text, name text, display_name text, description text, type text, lifecycle text, tags jsonb,
					labels jsonb, annotations jsonb, metadata jsonb, homepage text, version text, repository_url text, documentation_url text,
					team text, team_display_name text)
		) x
	) judged;

	IF p_create_teams THEN
		INSERT INTO teams(name, display_name, provider)
		SELECT e.team, coalesce(nullif(max(e.team_display_name), ''), e.team), p_provider FROM unnest(batch) e
		WHERE e.team IS NOT NULL AND NOT EXISTS (SELECT 1 FROM teams t WHERE t.name = e.team AND t.deleted_at IS NULL)
		GROUP BY e.team ORDER BY e.team
		ON CONFLICT DO NOTHING;
		GET DIAGNOSTICS v_teams = ROW_COUNT;
	END IF;

	batch := ARRAY(
		SELECT ROW(e.key, e.name, e.display_name, e.description, e.type, e.lifecycle, e.tags, e.labels, e.annotations, e.metadata, e.repository_url,
			e.documentation_url, e.team, e.team_display_name, t.id, s.id, CASE
				WHEN s.id IS NULL THEN 'new'
				WHEN s.name <> e.name OR s.deleted_at IS NOT NULL THEN 'renamed'
				WHEN (s.display_name, s.description, s.type, s.lifecycle, s.tags, s.labels, s.annotations, s.metadata, s.repository_url, s.documentation_url, s.team_id)
					IS DISTINCT FROM (e.display_name, e.description, e.type, e.lifecycle, e.tags, e.labels, e.annotations, e.metadata, e.repository_url, e.documentation_url, t.id) THEN 'changed'
				ELSE 'same' END)::catalog_entity
		FROM unnest(batch) e
		LEFT JOIN LATERAL (SELECT x.* FROM services x WHERE x.provider = p_provider AND x.provider_key = e.key LIMIT 1) s ON true
		LEFT JOIN LATERAL (SELECT x.id FROM teams x WHERE x.name = e.team AND x.deleted_at IS NULL LIMIT 1) t ON true);
	SELECT jsonb_agg(jsonb_build_object('key', e.key, 'name', e.name, 'reason', 'team_unknown')) INTO bad
	FROM unnest(batch) e WHERE e.team IS NOT NULL AND e.team_id IS NULL;
	IF bad IS NOT NULL THEN
		conflicts := conflicts || bad;
		-- What is there already has been seen all the same: a sync must not remove it.
		PERFORM catalog_sync_note(p_provider, p_sync, ARRAY(SELECT e.service_id FROM unnest(batch) e
			WHERE e.team IS NOT NULL AND e.team_id IS NULL AND e.service_id IS NOT NULL));
		batch := ARRAY(SELECT e FROM unnest(batch) e WHERE e.team IS NULL OR e.team_id IS NOT NULL);
	END IF;

	WITH written AS (
		UPDATE services s SET display_name = e.display_name, description = e.description, type = e.type, lifecycle = e.lifecycle,
			tags = e.tags, labels = e.labels, annotations = e.annotations, metadata = e.metadata, repository_url = e.repository_url,
			documentation_url = e.documentation_url, team_id = e.team_id
		FROM unnest(batch) e WHERE s.id = e.service_id AND e.state = 'changed'
		RETURNING s.id
	)
	SELECT coalesce(array_agg(id), '{}') INTO v_written FROM written;
	-- Seen, but not the asker's to write.
	SELECT jsonb_agg(jsonb_build_object('key', e.key, 'name', e.name, 'reason', 'forbidden')) INTO bad
	FROM unnest(batch) e WHERE e.state = 'changed' AND cardinality(v_written) < (SELECT count(*) FROM unnest(batch) x WHERE x.state = 'changed')
		AND e.service_id <> ALL (v_written);
	conflicts := conflicts || coalesce(bad, '[]');

	-- Renamed or revived: the name may be taken, perhaps by a row that the asker cannot see, so one by one. Rare.
	FOR renamed IN SELECT e.* FROM unnest(batch) e WHERE e.state = 'renamed' ORDER BY e.service_id LOOP
		BEGIN
			UPDATE services SET name = renamed.name, display_name = renamed.display_name, description = renamed.description,
				type = renamed.type, lifecycle = renamed.lifecycle, tags = renamed.tags, labels = renamed.labels,
				annotations = renamed.annotations, metadata = renamed.metadata, repository_url = renamed.repository_url,
				documentation_url = renamed.documentation_url, team_id = renamed.team_id, deleted_at = NULL
			WHERE id = renamed.service_id;
			IF FOUND THEN
				v_renamed := v_renamed + 1;
			ELSE
				conflicts := conflicts || jsonb_build_object('key', renamed.key, 'name', renamed.name, 'reason', 'forbidden');
			END IF;
		EXCEPTION WHEN unique_violation THEN
			conflicts := conflicts || jsonb_build_object('key', renamed.key, 'name', renamed.name, 'reason', 'name_taken');
		END;
	END LOOP;

	WITH fresh AS (
		INSERT INTO services(name, display_name, description, type, lifecycle, tags, labels, annotations, metadata, repository_url,
			documentation_url, team_id, provider, provider_key)
		SELECT e.name, e.display_name, e.description, e.type, e.lifecycle, e.tags, e.labels, e.annotations, e.metadata,
			e.repository_url, e.documentation_url, e.team_id, p_provider, e.key
		FROM unnest(batch) e WHERE e.state = 'new'
		ON CONFLICT DO NOTHING
		RETURNING id, provider_key
	)
	SELECT coalesce(array_agg(id), '{}'), coalesce(array_agg(provider_key), '{}') INTO v_created, v_keys FROM fresh;
	-- Not inserted: the name belongs to another.
	IF cardinality(v_created) < (SELECT count(*) FROM unnest(batch) e WHERE e.state = 'new') THEN
		SELECT jsonb_agg(jsonb_build_object('key', e.key, 'name', e.name, 'reason', 'name_taken')) INTO bad
		FROM unnest(batch) e WHERE e.state = 'new' AND e.key <> ALL (v_keys);
		conflicts := conflicts || coalesce(bad, '[]');
	END IF;

	PERFORM catalog_sync_note(p_provider, p_sync, v_created || ARRAY(SELECT e.service_id FROM unnest(batch) e WHERE e.service_id IS NOT NULL));
	v_result := jsonb_build_object('created', cardinality(v_created), 'updated', cardinality(v_written) + v_renamed,
		'unchanged', (SELECT count(*) FROM unnest(batch) e WHERE e.state = 'same'), 'teams_created', v_teams, 'conflicts', conflicts);
	PERFORM operation_keep(p_operation, 'catalog.apply', v_result);
	RETURN v_result;
END
$$;

CREATE FUNCTION catalog_relate(p_provider text, p_edges jsonb, p_sync bigint DEFAULT NULL, p_operation text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path FROM CURRENT
	SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'catalog.relate');
	types constant text[] := enum_range(NULL::relationship_type)::text[]; -- read once, as above
	batch catalog_edge[];
	v_missing bigint;
	v_sample jsonb;
	v_existing varchar[];
	v_created varchar[];
	v_updated bigint;
	v_conflicts bigint;
	v_result jsonb;
BEGIN
	IF done.operation IS NOT NULL THEN
		RETURN done.result;
	END IF;
	PERFORM catalog_provider_check(p_provider);

	-- Resolved once. Unknown ends are counted, not fatal: a list may name what nobody imports.
	WITH given AS (
		SELECT DISTINCT ON (r.source, r.target, r.target_name, r.type) r.source, r.target, r.target_name, coalesce(r.type, 'depends_on') AS type,
			coalesce(r.metadata, '{}') AS metadata, r.strength
		FROM jsonb_to_recordset(p_edges) AS r(source text, target text, target_name text, type text, metadata jsonb, strength numeric(3,2))
	), resolved AS (
		SELECT g.*, s.id AS source_id, coalesce(t.id, n.id) AS target_id FROM given g
		LEFT JOIN services s ON s.provider = p_provider AND s.provider_key = g.source AND s.deleted_at IS NULL
		LEFT JOIN services t ON g.target IS NOT NULL AND t.provider = p_provider AND t.provider_key = g.target AND t.deleted_at IS NULL
		LEFT JOIN services n ON g.target IS NULL AND n.name = g.target_name AND n.deleted_at IS NULL
	), usable AS (
		SELECT DISTINCT ON (source_id, target_id, type) ROW(source_id, target_id, type::relationship_type, metadata, strength, NULL, NULL)::catalog_edge AS e FROM resolved
		WHERE source_id <> target_id AND type = ANY (types)
	)
	SELECT coalesce((SELECT array_agg(e) FROM usable), '{}'),
		(SELECT count(*) FROM resolved WHERE source_id IS NULL OR target_id IS NULL OR type <> ALL (types)),
		(SELECT coalesce(jsonb_agg(m), '[]') FROM (SELECT jsonb_strip_nulls(jsonb_build_object('source', source, 'target', coalesce(target, target_name), 'type', type)) AS m
			FROM resolved WHERE source_id IS NULL OR target_id IS NULL OR type <> ALL (types) LIMIT 20) few)
	INTO batch, v_missing, v_sample;

	-- Looked up by source alone (|| '' keeps the index on target away): a source has tens of edges, a popular target has tens of thousands.
	batch := ARRAY(
		SELECT ROW(e.source_id, e.target_id, e.type, e.metadata, e.strength, r.id, CASE
				WHEN r.id IS NULL THEN 'new'
				WHEN r.provider IS DISTINCT FROM p_provider THEN 'foreign'
				WHEN (r.metadata, r.strength) IS DISTINCT FROM (e.metadata, e.strength) THEN 'changed'
				ELSE 'same' END)::catalog_edge
		FROM unnest(batch) e
		LEFT JOIN LATERAL (SELECT x.id, x.provider, x.metadata, x.strength FROM service_relationships x
			WHERE x.source_id = e.source_id AND x.target_id || '' = e.target_id AND x.relationship_type = e.type LIMIT 1) r ON true);
	v_existing := ARRAY(SELECT e.relationship_id FROM unnest(batch) e WHERE e.state IN ('same', 'changed'));
	UPDATE service_relationships r SET metadata = e.metadata, strength = e.strength
	FROM unnest(batch) e WHERE r.id = e.relationship_id AND e.state = 'changed';
	GET DIAGNOSTICS v_updated = ROW_COUNT;
	WITH fresh AS (
		INSERT INTO service_relationships(source_id, target_id, relationship_type, metadata, strength, provider)
		SELECT e.source_id, e.target_id, e.type, e.metadata, e.strength, p_provider FROM unnest(batch) e WHERE e.state = 'new'
		ON CONFLICT DO NOTHING
		RETURNING id
	)
	SELECT coalesce(array_agg(id), '{}') INTO v_created FROM fresh;
	-- What is neither is another's relationship: it stands, and serves.
	v_conflicts := cardinality(batch) - cardinality(v_existing) - cardinality(v_created);

	PERFORM catalog_sync_note(p_provider, p_sync, v_existing || v_created);
	v_result := jsonb_build_object('created', cardinality(v_created), 'updated', v_updated, 'unchanged', cardinality(v_existing) - v_updated,
		'conflicts', v_conflicts, 'missing', v_missing, 'missing_sample', v_sample);
	PERFORM operation_keep(p_operation, 'catalog.relate', v_result);
	RETURN v_result;
END
$$;

CREATE FUNCTION catalog_sync_begin(p_provider text, p_operation text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'catalog.sync_begin');
	v_id bigint;
BEGIN
	IF done.operation IS NOT NULL THEN
		RETURN done.result;
	END IF;
	PERFORM catalog_provider_check(p_provider);
	PERFORM pg_advisory_xact_lock(hashtextextended(p_provider, 7305004));
	UPDATE catalog_syncs SET state = 'abandoned', finished_at = now() WHERE provider = p_provider AND state = 'running';
	INSERT INTO catalog_syncs(provider, started_by) VALUES (p_provider, app_user_id()) RETURNING id INTO v_id;
	PERFORM operation_keep(p_operation, 'catalog.sync_begin', to_jsonb(v_id));
	RETURN v_id;
END
$$;

-- The seen table is never analysed while it fills: the planner would take it for small and loop over it.
CREATE FUNCTION catalog_sync_finish(p_provider text, p_sync bigint, p_operation text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path FROM CURRENT SET jit = off SET enable_nestloop = off AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'catalog.sync_finish');
	expected bigint;
	v_services bigint;
	v_edges bigint;
	v_result jsonb;
BEGIN
	IF done.operation IS NOT NULL THEN
		RETURN done.result;
	END IF;
	PERFORM catalog_provider_check(p_provider);
	SELECT seen INTO expected FROM catalog_syncs WHERE id = p_sync AND provider = p_provider AND state = 'running' FOR UPDATE;
	IF expected IS NULL THEN
		RAISE EXCEPTION 'sync % of ''%'' is not running', p_sync, p_provider USING ERRCODE = 'MK001', HINT = 'Begin a new sync.';
	ELSIF expected <> (SELECT count(*) FROM catalog_sync_seen WHERE sync_id = p_sync) THEN
		RAISE EXCEPTION 'sync % of ''%'' lost what it had seen', p_sync, p_provider USING ERRCODE = 'MK002', HINT = 'Begin a new sync.';
	END IF;
	DELETE FROM service_relationships r WHERE r.provider = p_provider
		AND NOT EXISTS (SELECT 1 FROM catalog_sync_seen e WHERE e.sync_id = p_sync AND e.row_id = r.id);
	GET DIAGNOSTICS v_edges = ROW_COUNT;
	UPDATE services s SET deleted_at = now() WHERE s.provider = p_provider AND s.provider_key IS NOT NULL AND s.deleted_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM catalog_sync_seen e WHERE e.sync_id = p_sync AND e.row_id = s.id);
	GET DIAGNOSTICS v_services = ROW_COUNT;
	v_result := jsonb_build_object('services_removed', v_services, 'relationships_removed', v_edges);
	UPDATE catalog_syncs SET state = 'done', finished_at = now(), result = v_result WHERE id = p_sync;
	DELETE FROM catalog_sync_seen WHERE sync_id = p_sync;
	PERFORM audit_write('catalog.sync', 'provider', p_provider, p_provider, p_new => v_result || jsonb_build_object('seen', expected));
	PERFORM operation_keep(p_operation, 'catalog.sync_finish', v_result);
	RETURN v_result;
END
$$;

-- Breadth first, a statement per level: each service once, at its smallest depth, whatever cycles there are; a recursive CTE that
-- carries the depth would walk each path. A catalog just imported has no statistics: looked up one by one, as above. Through RLS: a hidden service is neither returned nor walked through.
CREATE FUNCTION catalog_closure(p_service text, p_depth integer, p_reverse boolean DEFAULT false, p_types relationship_type[] DEFAULT NULL)
	RETURNS TABLE (id varchar, depth integer, via varchar)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET jit = off SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
	-- As text: without statistics (a catalog just imported) the index on the type looks as good as the one on the service.
	types text[] := coalesce(p_types::text[], ARRAY['depends_on', 'consumes_api']);
	frontier varchar[] := ARRAY[p_service::varchar];
	visited varchar[] := frontier;
	vias varchar[];
	level integer := 0;
BEGIN
	WHILE cardinality(frontier) > 0 AND level < p_depth LOOP
		level := level + 1;
		-- What was visited takes part in the grouping and has no via: one hash, however large the closure has grown.
		IF p_reverse THEN
			SELECT coalesce(array_agg(next ORDER BY next), '{}'), array_agg(found.via ORDER BY next) INTO frontier, vias FROM (
				SELECT step.next, min(step.via) AS via FROM (
					SELECT r.source_id AS next, r.target_id AS via FROM service_relationships r,
						LATERAL (SELECT 1 FROM services x WHERE x.id = r.source_id AND x.deleted_at IS NULL LIMIT 1) s
					WHERE r.target_id = ANY (frontier) AND r.relationship_type::text = ANY (types)
					UNION ALL SELECT seen, NULL FROM unnest(visited) seen
				) step GROUP BY step.next HAVING count(step.via) = count(*)) found;
		ELSE
			SELECT coalesce(array_agg(next ORDER BY next), '{}'), array_agg(found.via ORDER BY next) INTO frontier, vias FROM (
				SELECT step.next, min(step.via) AS via FROM (
					SELECT r.target_id AS next, r.source_id AS via FROM service_relationships r,
						LATERAL (SELECT 1 FROM services x WHERE x.id = r.target_id AND x.deleted_at IS NULL LIMIT 1) s
					WHERE r.source_id = ANY (frontier) AND r.relationship_type::text = ANY (types)
					UNION ALL SELECT seen, NULL FROM unnest(visited) seen
				) step GROUP BY step.next HAVING count(step.via) = count(*)) found;
		END IF;
		visited := visited || frontier;
		RETURN QUERY SELECT f, level, v FROM unnest(frontier, vias) u(f, v);
	END LOOP;
END
$$;
