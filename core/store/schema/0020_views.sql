-- Views.
SET LOCAL search_path = public, pg_temp;

-- Hours before the watermark from the rollup, later ones from the samples: the current hour too.
CREATE VIEW metrics_hourly AS
SELECT r.hour, r.metric_name, r.service_id, r.plugin_id, r.environment, r.value_sum / r.value_count AS avg_value,
	r.value_max AS max_value, r.value_min AS min_value, r.value_count AS sample_count
FROM metrics_rollup r
WHERE r.hour < (SELECT watermark FROM metrics_rollup_state)
UNION ALL
SELECT date_trunc('hour', m."time", 'UTC'), m.metric_name, m.service_id, m.plugin_id, m.environment, avg(m.value), max(m.value), min(m.value), count(*)
FROM metrics m
WHERE m."time" >= (SELECT watermark FROM metrics_rollup_state)
GROUP BY 1, 2, 3, 4, 5;

-- Metrics are aggregated before the join, so that several relationships do not multiply them. Only what a service needs to run counts.
CREATE MATERIALIZED VIEW service_health_summary AS
SELECT s.id, s.name, s.health_status, s.lifecycle, t.name AS team_name, coalesce(d.n, 0) AS dependency_count,
	m.avg_latency, m.avg_error_rate
FROM services s
LEFT JOIN teams t ON t.id = s.team_id
LEFT JOIN (
	SELECT source_id, count(DISTINCT target_id) AS n FROM service_relationships
	WHERE relationship_type IN ('depends_on', 'consumes_api') GROUP BY source_id
) d ON d.source_id = s.id
LEFT JOIN (
	SELECT service_id, avg(value) FILTER (WHERE metric_name = 'latency_p99') AS avg_latency,
		avg(value) FILTER (WHERE metric_name = 'error_rate') AS avg_error_rate
	FROM metrics WHERE "time" > now() - interval '1 hour' AND metric_name IN ('latency_p99', 'error_rate') GROUP BY service_id
) m ON m.service_id = s.id
WHERE s.deleted_at IS NULL;
CREATE UNIQUE INDEX service_health_summary_id ON service_health_summary (id);
CREATE INDEX idx_service_health_summary_status ON service_health_summary (health_status);

-- The same for people. A view reads with its owner's rights, whom no policy binds: so the policies of services are repeated here.
CREATE VIEW service_health_dashboard WITH (security_barrier) AS
SELECT h.id, h.name, h.health_status, h.lifecycle, h.team_name, h.dependency_count, h.avg_latency, h.avg_error_rate
FROM service_health_summary h JOIN services s ON s.id = h.id
WHERE (SELECT app_sees_all_services()) OR s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin());
