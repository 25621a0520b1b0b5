-- The catalog as a graph in a front's memory: which service needs which, and who may see each. No content.
--
-- A front reads all of it, whoever asks (hence SECURITY DEFINER), keeps it by catalog_feed, and walks it as the policies of services
-- (0017_access) see it: a service is the asker's to see if app_sees_all_services(), or its team is one of app_team_ids(), or its provider
-- is app_own_plugin(). core/catalog/graph.c says the same; a change of those policies changes it too. The rows of an answer are read
-- through the policies. The walk that needs no memory is catalog_closure (0019_ingest).
SET LOCAL search_path = public, pg_temp;

-- Readers of the feed go by transaction.
CREATE INDEX catalog_feed_xact ON catalog_feed (xact);

-- The cast keeps the index on the type away, which without statistics (a catalog just imported) looks as good as the one on the source.
CREATE FUNCTION catalog_graph_page(p_after text, p_limit integer)
	RETURNS TABLE (id varchar, name varchar, team_id varchar, provider varchar, needs varchar[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
	SELECT s.id, s.name, s.team_id, s.provider, ARRAY(SELECT DISTINCT r.target_id FROM service_relationships r
		WHERE r.source_id = s.id AND r.relationship_type::text IN ('depends_on', 'consumes_api'))
	FROM services s WHERE s.id > p_after AND s.deleted_at IS NULL ORDER BY s.id LIMIT p_limit
$$;

CREATE FUNCTION catalog_graph_services(p_ids varchar[])
	RETURNS TABLE (id varchar, name varchar, team_id varchar, provider varchar, needs varchar[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
	SELECT s.id, s.name, s.team_id, s.provider, ARRAY(SELECT DISTINCT r.target_id FROM service_relationships r
		WHERE r.source_id = s.id AND r.relationship_type::text IN ('depends_on', 'consumes_api'))
	FROM services s WHERE s.id = ANY (p_ids) AND s.deleted_at IS NULL
$$;
