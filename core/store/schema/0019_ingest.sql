-- Bulk writing of the catalog, and walking it.
--
-- Everything here runs as the asker, through the policies. Sets, not rows: a batch of some thousands is a handful of statements.
-- Each batch is planned anew: a plan kept for all takes the arrays for ten elements, and loops over thousands.
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

ALTER TABLE catalog_syncs ENABLE ROW LEVEL SECURITY;
CREATE POLICY catalog_syncs_own ON catalog_syncs FOR ALL TO application_role
	USING ((SELECT app_is_known()) AND ((SELECT app_plugin()) = '' OR provider = (SELECT app_plugin())))
	WITH CHECK ((SELECT app_is_known()) AND ((SELECT app_plugin()) = '' OR provider = (SELECT app_plugin())));
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

-- One element of a batch, checked and completed.
CREATE TYPE catalog_entity AS (key text, name text, display_name text, description text, type text, lifecycle text, tags text[],
	labels jsonb, annotations jsonb, metadata jsonb, repository_url text, documentation_url text, team text, team_display_name text);
CREATE TYPE catalog_edge AS (source_id varchar, target_id varchar, type text, metadata jsonb, strength numeric(3,2));

CREATE FUNCTION catalog_apply(p_provider text, p_entities jsonb, p_create_teams boolean DEFAULT false, p_sync bigint DEFAULT NULL,
	p_operation text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'catalog.apply');
	batch catalog_entity[];
	conflicts jsonb := '[]';
	bad jsonb;
	v_created varchar[];
	v_existing bigint;
	v_updated bigint := 0;
	v_teams bigint := 0;
	renamed record;
	hit bigint;
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
				OR x.raw_type IS NOT NULL AND x.raw_type <> ALL (enum_range(NULL::service_type)::text[])
				OR x.raw_lifecycle IS NOT NULL AND x.raw_lifecycle <> ALL (enum_range(NULL::lifecycle_stage)::text[])
				OR 'object' <> ANY (ARRAY[coalesce(jsonb_typeof(x.labels), 'object'), coalesce(jsonb_typeof(x.annotations), 'object'), coalesce(jsonb_typeof(x.metadata), 'object')])
				OR coalesce(jsonb_typeof(x.tags), 'array') <> 'array'
				THEN 'invalid'
			WHEN row_number() OVER (PARTITION BY x.key ORDER BY x.n) > 1
				OR row_number() OVER (PARTITION BY x.name ORDER BY x.n) > 1 THEN 'duplicate'
			END AS reason
		FROM (
			SELECT j.n, r.key, r.name, r.team, r.team_display_name, r.display_name, r.repository_url, r.documentation_url, r.type AS raw_type,
				r.lifecycle AS raw_lifecycle, r.labels, r.annotations, r.metadata, r.tags,
				ROW(r.key, r.name, coalesce(nullif(r.display_name, ''), r.name), r.description, coalesce(r.type, 'service'), coalesce(r.lifecycle, 'production'),
					json_texts(r.tags), coalesce(r.labels, '{}'), coalesce(r.annotations, '{}'),
					coalesce(r.metadata, '{}') || jsonb_strip_nulls(jsonb_build_object('homepage', r.homepage, 'version', r.version)),
					r.repository_url, r.documentation_url, r.team, r.team_display_name)::catalog_entity AS e
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
	ELSE
		SELECT jsonb_agg(jsonb_build_object('key', e.key, 'name', e.name, 'reason', 'team_unknown')) INTO bad FROM unnest(batch) e
		WHERE e.team IS NOT NULL AND NOT EXISTS (SELECT 1 FROM teams t WHERE t.name = e.team AND t.deleted_at IS NULL);
		IF bad IS NOT NULL THEN
			conflicts := conflicts || bad;
			batch := ARRAY(SELECT e FROM unnest(batch) e
				WHERE e.team IS NULL OR EXISTS (SELECT 1 FROM teams t WHERE t.name = e.team AND t.deleted_at IS NULL));
		END IF;
	END IF;

	SELECT count(*) INTO v_existing FROM unnest(batch) e JOIN services s ON s.provider = p_provider AND s.provider_key = e.key;

	-- Changed, under the old name. A row that was removed comes back.
	UPDATE services s SET display_name = e.display_name, description = e.description, type = e.type::service_type, lifecycle = e.lifecycle::lifecycle_stage,
		tags = e.tags, labels = e.labels, annotations = e.annotations, metadata = e.metadata, repository_url = e.repository_url,
		documentation_url = e.documentation_url, team_id = t.id
	FROM unnest(batch) e LEFT JOIN teams t ON t.name = e.team AND t.deleted_at IS NULL
	WHERE s.provider = p_provider AND s.provider_key = e.key AND s.name = e.name AND s.deleted_at IS NULL
		AND (s.display_name, s.description, s.type, s.lifecycle, s.tags, s.labels, s.annotations, s.metadata, s.repository_url, s.documentation_url, s.team_id)
			IS DISTINCT FROM (e.display_name, e.description, e.type::service_type, e.lifecycle::lifecycle_stage, e.tags, e.labels, e.annotations, e.metadata, e.repository_url, e.documentation_url, t.id);
	GET DIAGNOSTICS v_updated = ROW_COUNT;

	-- Renamed or revived: the name may be taken, perhaps by a row that the asker cannot see, so one by one. Rare.
	FOR renamed IN
		SELECT s.id, e.*, t.id AS new_team FROM unnest(batch) e JOIN services s ON s.provider = p_provider AND s.provider_key = e.key
		LEFT JOIN teams t ON t.name = e.team AND t.deleted_at IS NULL
		WHERE s.name <> e.name OR s.deleted_at IS NOT NULL ORDER BY s.id
	LOOP
		BEGIN
			UPDATE services SET name = renamed.name, display_name = renamed.display_name, description = renamed.description,
				type = renamed.type::service_type, lifecycle = renamed.lifecycle::lifecycle_stage, tags = renamed.tags, labels = renamed.labels,
				annotations = renamed.annotations, metadata = renamed.metadata, repository_url = renamed.repository_url,
				documentation_url = renamed.documentation_url, team_id = renamed.new_team, deleted_at = NULL
			WHERE id = renamed.id;
			GET DIAGNOSTICS hit = ROW_COUNT;
			v_updated := v_updated + hit;
		EXCEPTION WHEN unique_violation THEN
			conflicts := conflicts || jsonb_build_object('key', renamed.key, 'name', renamed.name, 'reason', 'name_taken');
		END;
	END LOOP;

	WITH fresh AS (
		INSERT INTO services(name, display_name, description, type, lifecycle, tags, labels, annotations, metadata, repository_url,
			documentation_url, team_id, provider, provider_key)
		SELECT e.name, e.display_name, e.description, e.type::service_type, e.lifecycle::lifecycle_stage, e.tags, e.labels, e.annotations, e.metadata,
			e.repository_url, e.documentation_url, t.id, p_provider, e.key
		FROM unnest(batch) e LEFT JOIN teams t ON t.name = e.team AND t.deleted_at IS NULL
		WHERE NOT EXISTS (SELECT 1 FROM services s WHERE s.provider = p_provider AND s.provider_key = e.key)
		ON CONFLICT DO NOTHING
		RETURNING id
	)
	SELECT coalesce(array_agg(id), '{}') INTO v_created FROM fresh;

	-- Not there now: the name belongs to another.
	SELECT jsonb_agg(jsonb_build_object('key', e.key, 'name', e.name, 'reason', 'name_taken')) INTO bad FROM unnest(batch) e
	WHERE NOT EXISTS (SELECT 1 FROM services s WHERE s.provider = p_provider AND s.provider_key = e.key);
	conflicts := conflicts || coalesce(bad, '[]');

	IF p_sync IS NOT NULL THEN
		PERFORM catalog_sync_note(p_provider, p_sync, ARRAY(SELECT s.id FROM unnest(batch) e
			JOIN services s ON s.provider = p_provider AND s.provider_key = e.key AND s.deleted_at IS NULL));
	END IF;
	v_result := jsonb_build_object('created', cardinality(v_created), 'updated', v_updated,
		'unchanged', cardinality(batch) - cardinality(v_created) - v_updated
			- (SELECT count(*) FROM jsonb_array_elements(conflicts) c WHERE c->>'reason' = 'name_taken'),
		'teams_created', v_teams, 'conflicts', conflicts);
	PERFORM operation_keep(p_operation, 'catalog.apply', v_result);
	RETURN v_result;
END
$$;

CREATE FUNCTION catalog_relate(p_provider text, p_edges jsonb, p_sync bigint DEFAULT NULL, p_operation text DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
DECLARE
	done call_operations := operation_find(p_operation, 'catalog.relate');
	batch catalog_edge[];
	v_missing bigint;
	v_sample jsonb;
	v_seen varchar[];
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
		SELECT DISTINCT ON (source_id, target_id, type) ROW(source_id, target_id, type, metadata, strength)::catalog_edge AS e FROM resolved
		WHERE source_id <> target_id AND type = ANY (enum_range(NULL::relationship_type)::text[])
	)
	SELECT coalesce((SELECT array_agg(e) FROM usable), '{}'),
		(SELECT count(*) FROM resolved WHERE source_id IS NULL OR target_id IS NULL OR type <> ALL (enum_range(NULL::relationship_type)::text[])),
		(SELECT coalesce(jsonb_agg(m), '[]') FROM (SELECT jsonb_strip_nulls(jsonb_build_object('source', source, 'target', coalesce(target, target_name), 'type', type)) AS m
			FROM resolved WHERE source_id IS NULL OR target_id IS NULL OR type <> ALL (enum_range(NULL::relationship_type)::text[]) LIMIT 20) few)
	INTO batch, v_missing, v_sample;

	v_existing := ARRAY(SELECT r.id FROM unnest(batch) e JOIN service_relationships r
		ON r.source_id = e.source_id AND r.target_id = e.target_id AND r.relationship_type = e.type::relationship_type WHERE r.provider = p_provider);
	UPDATE service_relationships r SET metadata = e.metadata, strength = e.strength FROM unnest(batch) e
	WHERE r.source_id = e.source_id AND r.target_id = e.target_id AND r.relationship_type = e.type::relationship_type AND r.provider = p_provider
		AND (r.metadata, r.strength) IS DISTINCT FROM (e.metadata, e.strength);
	GET DIAGNOSTICS v_updated = ROW_COUNT;
	WITH fresh AS (
		INSERT INTO service_relationships(source_id, target_id, relationship_type, metadata, strength, provider)
		SELECT e.source_id, e.target_id, e.type::relationship_type, e.metadata, e.strength, p_provider FROM unnest(batch) e
		WHERE NOT EXISTS (SELECT 1 FROM service_relationships r
			WHERE r.source_id = e.source_id AND r.target_id = e.target_id AND r.relationship_type = e.type::relationship_type)
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
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
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
-- carries the depth would walk each path. Through RLS: a hidden service is neither returned nor walked through.
CREATE FUNCTION catalog_closure(p_service text, p_depth integer, p_reverse boolean DEFAULT false, p_types relationship_type[] DEFAULT NULL)
	RETURNS TABLE (id varchar, depth integer, via varchar)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
	types relationship_type[] := coalesce(p_types, ARRAY['depends_on', 'consumes_api']::relationship_type[]);
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
					SELECT r.source_id AS next, r.target_id AS via FROM service_relationships r JOIN services s ON s.id = r.source_id AND s.deleted_at IS NULL
					WHERE r.target_id = ANY (frontier) AND r.relationship_type = ANY (types)
					UNION ALL SELECT seen, NULL FROM unnest(visited) seen
				) step GROUP BY step.next HAVING count(step.via) = count(*)) found;
		ELSE
			SELECT coalesce(array_agg(next ORDER BY next), '{}'), array_agg(found.via ORDER BY next) INTO frontier, vias FROM (
				SELECT step.next, min(step.via) AS via FROM (
					SELECT r.target_id AS next, r.source_id AS via FROM service_relationships r JOIN services s ON s.id = r.target_id AND s.deleted_at IS NULL
					WHERE r.source_id = ANY (frontier) AND r.relationship_type = ANY (types)
					UNION ALL SELECT seen, NULL FROM unnest(visited) seen
				) step GROUP BY step.next HAVING count(step.via) = count(*)) found;
		END IF;
		visited := visited || frontier;
		RETURN QUERY SELECT f, level, v FROM unnest(frontier, vias) u(f, v);
	END LOOP;
END
$$;
