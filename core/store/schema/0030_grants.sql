-- Who may do what. Nothing is granted to PUBLIC but making ids; a table, column or function that is not here is the owner's alone.
SET LOCAL search_path = public, pg_temp;

DO $$
BEGIN
	EXECUTE format('GRANT CONNECT ON DATABASE %I TO mortise_front, mortise_supervisor', current_database());
END
$$;
GRANT USAGE ON SCHEMA public TO application_role, mortise_supervisor;
GRANT EXECUTE ON FUNCTION generate_cuid() TO PUBLIC;

-- Both sides.
GRANT EXECUTE ON FUNCTION app_setting(text), app_user_id(), app_plugin(), app_address(), audit_address(text), json_texts(jsonb), semver_order(text),
	audit_write(text, text, text, text, jsonb, jsonb, text, text, jsonb, text), state_of(plugin_status[]), user_position(text, text)
	TO application_role, mortise_supervisor;
-- What is personal of a user comes from the functions of 0023 alone.
GRANT SELECT (id, name, username, avatar, provider, provider_id, role, is_active, created_at, updated_at, deleted_at) ON users TO application_role;
-- Not id, created_at and xact: where a row stands in the trail is no writer's to say.
GRANT INSERT (user_id, action, resource_type, resource_id, resource_name, old_value, new_value, ip_address, user_agent, session_id, request_id,
	status, error_message, metadata) ON audit_logs TO application_role, mortise_supervisor;
GRANT USAGE ON SEQUENCE audit_logs_id_seq TO application_role, mortise_supervisor;
GRANT SELECT ON plugins, plugin_versions, packages, plugin_signatures, trust_keys, trust_pins, authority_feed, catalog_feed, host_settings,
	schema_migrations TO application_role, mortise_supervisor;

-- The front, as whoever asks.
GRANT SELECT, INSERT, UPDATE ON teams TO application_role;
GRANT SELECT, INSERT (user_id, team_id, role), UPDATE (role), DELETE ON team_members TO application_role;
GRANT SELECT ON plugin_instances, plugin_terminations, service_health_dashboard, metrics, events TO application_role;
-- Not the secrets: the front has no key for them.
GRANT SELECT (id, plugin_id, environment, installed_version, previous_version, installed_by, installation_method, config, health_status,
	health_check_url, last_health_check, health_metrics, cpu_usage, memory_usage, disk_usage, is_enabled, installed_at, updated_at, disabled_at,
	uninstalled_at, wished_version, wished_digest, installed_digest, granted_permissions, revision) ON plugin_installations TO application_role;
GRANT UPDATE (is_enabled, config, health_check_url) ON plugin_installations TO application_role;
GRANT SELECT, INSERT, UPDATE ON services, service_deployments TO application_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON service_relationships TO application_role;
GRANT SELECT, INSERT ON changes TO application_role;
GRANT INSERT, UPDATE ON trust_keys, host_settings TO application_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON plugin_kv, tenant_data TO application_role;
GRANT USAGE ON SEQUENCE plugin_kv_etags TO application_role;
GRANT SELECT, INSERT ON call_operations TO application_role;
GRANT SELECT, INSERT, UPDATE ON catalog_syncs TO application_role;
GRANT SELECT, INSERT, DELETE ON catalog_sync_seen TO application_role;
GRANT EXECUTE ON FUNCTION app_is_known(), app_is_admin(), app_is_elevated(), app_team_ids(), app_own_plugin(), app_catalog_everyone(),
	app_may_write(), app_sees_all_services(), setting_put(text, text, jsonb), trust_namespace_valid(text), trust_namespaces_valid(text[]), trust_add(text, bytea, text, text[], text[], boolean, timestamptz),
	trust_revoke(text, text), package_trust_check(text, text), change_open(text, text, text, text, text, text, text, jsonb, text),
	operation_find(text, text), operation_keep(text, text, jsonb), kv_get(text), kv_list(text, text, integer),
	kv_put(text, jsonb, bytea, bigint, interval, text), kv_delete(text, bigint, text),
	auth_account(text), auth_api_key(text), auth_api_keys_used(text[], bigint[], timestamptz[]), auth_rate_take(text, integer, integer),
	auth_api_key_create(text, text, text, text, text, text[], integer, timestamptz, inet[], text[], text, text), auth_api_key_get(text),
	auth_api_key_change(text, jsonb), auth_api_key_revoke(text, text), auth_api_keys_list(text, text, text, integer), catalog_provider_check(text), catalog_sync_note(text, bigint, varchar[]),
	catalog_apply(text, jsonb, boolean, bigint, text), catalog_relate(text, jsonb, bigint, text), catalog_sync_begin(text, text),
	catalog_sync_finish(text, bigint, text), catalog_closure(text, integer, boolean, relationship_type[]),
	catalog_graph_page(text, integer), catalog_graph_services(varchar[])
	TO application_role;

-- Second factors: the asker's own, and of others what an administrator may.
GRANT EXECUTE ON FUNCTION second_factor_proof(interval), second_factor_try(), second_factor_judge(bigint, text[], text[]),
	second_factor_send(text, text), second_factor_enrol(text, text, text, integer, text, text), second_factor_enrolment(text),
	second_factor_confirm(text, bigint, text[], text[]), second_factor_status(text), second_factor_disable(text), second_factor_backup(text[])
	TO application_role;
GRANT EXECUTE ON FUNCTION envelope_key_check(text), key_ring_rotate(text), key_ring_retire(text), key_ring_show(), secret_put(text, text, text),
	secret_remove(text, text), secret_list(text), secret_get(text), secret_unreadable(text, text)
	TO application_role;

-- Login and sessions.
GRANT EXECUTE ON FUNCTION auth_login_begin(text, text, integer, interval),
	auth_login_finish(text, text, text, text, text, text, interval, interval, interval, boolean, text), session_promote(text, text, text),
	auth_session(text), auth_sessions_used(text[], timestamptz[]), auth_session_refresh(text, text, text, boolean, interval),
	auth_sessions_list(text), auth_session_end(text, text), auth_sessions_end(text, text),
	auth_password_facts(text), auth_password_prove(text, integer, interval), auth_password_proved(text, text),
	auth_password_set(text, text, text, text, boolean, text, text)
	TO application_role;

-- Privacy requests: each function decides itself whose; the tables stay out of the front's reach.
GRANT EXECUTE ON FUNCTION privacy_get(text), privacy_list(text, integer, request_status, privacy_request_type, text),
	privacy_request(text, privacy_request_type, jsonb), privacy_archive(text), privacy_page(text, text, jsonb, integer),
	privacy_complete(text, text), privacy_reject(text, text) TO application_role;

-- The supervisor: installations and what belongs to them; of users only the plugins' accounts; no catalog, no keys, no sessions.
GRANT SELECT (id, provider, provider_id, is_active, deleted_at), INSERT (id, email, name, provider, provider_id, role), UPDATE (is_active)
	ON users TO mortise_supervisor;
GRANT INSERT, UPDATE ON plugins, plugin_versions, packages TO mortise_supervisor;
GRANT INSERT ON plugin_signatures, events, metrics TO mortise_supervisor;
GRANT SELECT, INSERT ON package_chunks, plugin_terminations TO mortise_supervisor;
GRANT SELECT, INSERT, UPDATE ON plugin_installations, nodes, changes TO mortise_supervisor;
GRANT SELECT, INSERT, UPDATE, DELETE ON plugin_instances, leases TO mortise_supervisor;
GRANT USAGE ON SEQUENCE fencing_tokens, instance_generations TO mortise_supervisor;
GRANT EXECUTE ON FUNCTION node_lease(text, text, bigint, interval, jsonb), node_check(text, bigint), node_release(text, bigint),
	lease_take(text, bigint, text, interval), package_chunk_put(text, bigint, text, integer, bytea),
	package_facts(text, text),
	package_register(text, bigint, text, jsonb, bytea, bigint, text, text, boolean), state_follows(plugin_status, plugin_status),
	instance_move(text, bigint, text, plugin_status, text, text, jsonb), instance_started(text, bigint, text, integer),
	instance_samples(text, bigint, jsonb), metrics_write(text, bigint, jsonb), installations_rollup(text, bigint),
	termination_write(text, bigint, jsonb), change_claim(text, bigint), change_hold(text, bigint, bigint),
	change_phase(text, bigint, bigint, text, text, text), change_report(changes, text, text, jsonb), plugin_account_put(text, text, boolean),
	change_wish(text, bigint, bigint, jsonb, text[], text, text), change_commit(text, bigint, bigint, jsonb),
	change_fail(text, bigint, bigint, plugin_status, jsonb),
	envelope_key_check(text), key_ring_look(text, bigint, text[], text), key_ring_claim(text, bigint, interval),
	key_ring_coming(text, bigint, bigint, text, text), key_ring_fail(text, bigint, bigint, text), key_ring_spread(text, bigint, bigint),
	key_ring_stale(bigint, text, integer), key_ring_reseal(text, bigint, bigint, interval, text[], text[], text[]),
	key_ring_finish(text, bigint, bigint, text[]),
	job_partitions(), job_metrics_rollup(), job_metrics_expire(), job_audit_archive(), job_expire(), job_refresh_health(), job_tenant_create(text)
	TO mortise_supervisor;

-- The audit trail: administrators read it, the front tells of refusals, the supervisor seals. Nobody changes it.
GRANT EXECUTE ON FUNCTION audit_chains_list(), audit_chain_page(text, bigint, integer), audit_strays(text, bigint, integer),
	audit_search(text, text, text, text, timestamptz, timestamptz, text, text, boolean, boolean, timestamptz, bigint, integer),
	audit_refusals(jsonb) TO application_role;
GRANT EXECUTE ON FUNCTION audit_unsealed(text, bigint, interval, integer), audit_chain_head(text, bigint, text),
	audit_seal(text, bigint, text, text, boolean, text[], bigint[], bigint[], text[], text[], text[]) TO mortise_supervisor;

-- People (0023).
GRANT EXECUTE ON FUNCTION user_get(text), users_list(text, integer, text, user_role, boolean, text, text), user_create(jsonb, text),
	user_change(text, jsonb, timestamptz), user_activate(text, boolean, text), user_delete(text, text), user_id_of(text), app_team_ids(team_role),
	team_facts_of(teams), team_find(text), team_get(text), teams_list(text, integer, text, text, text), team_create(jsonb),
	team_change(text, jsonb, timestamptz), team_delete(text, text), names_shown(text[]), members_list(text, text, integer),
	member_get(varchar, varchar), member_refuse(text, team_role), member_add(text, text, team_role), member_change(text, text, team_role),
	member_remove(text, text), access_facts(text, text, text), access_rows(text, text, text, text, text, text)
	TO application_role;
