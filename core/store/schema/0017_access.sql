-- Row-level security: who sees and writes which rows.
--
-- Helpers are STABLE and stand in sub-selects, so that a statement evaluates each of them once, not once per row. They read users and
-- team_members, whose own policies ask them, as the owner (SECURITY DEFINER), with a pinned search_path: a temporary table named users fools none.
-- The owner is not bound by policies; FORCE ROW LEVEL SECURITY would empty the view that the owner refreshes.
--
-- What application_role may read without a policy is the same for everybody and says nothing of anybody: plugins, plugin_versions, packages,
-- plugin_signatures (what there is to install), schema_migrations, and the feeds (ids of what has changed, for caches that serve everybody).
SET LOCAL search_path = public, pg_temp;

-- The asker exists and is active.
CREATE FUNCTION app_is_known() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL);
END
$$;

CREATE FUNCTION app_is_admin() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL AND role = 'ADMIN');
END
$$;

-- ADMIN or PLATFORM_ENGINEER: sees and writes every service and installation.
CREATE FUNCTION app_is_elevated() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL
		AND role IN ('ADMIN', 'PLATFORM_ENGINEER'));
END
$$;

-- The asker's teams.
CREATE FUNCTION app_team_ids() RETURNS SETOF varchar
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN QUERY SELECT m.team_id FROM team_members m JOIN users u ON u.id = m.user_id
		WHERE m.user_id = app_user_id() AND u.is_active AND u.deleted_at IS NULL;
END
$$;

-- The asking plugin, when the asker is that plugin's own account (a call in the background), else NULL.
CREATE FUNCTION app_own_plugin() RETURNS varchar
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN (SELECT provider_id FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL
		AND provider = 'plugin' AND provider_id = app_plugin());
END
$$;

-- Who may write at all: a VIEWER may not, but the account of a plugin, whose rights are the plugin's permissions, is one by name only.
CREATE FUNCTION app_may_write() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
	RETURN EXISTS (SELECT 1 FROM users WHERE id = app_user_id() AND is_active AND deleted_at IS NULL
		AND (role <> 'VIEWER' OR (provider = 'plugin' AND provider_id = app_plugin())));
END
$$;

-- catalog.visibility of the environment, else of all; not set means team.
CREATE FUNCTION app_catalog_everyone() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN app_is_known() AND coalesce((SELECT value = '"everyone"' FROM host_settings
		WHERE name = 'catalog.visibility' AND environment IN ('', app_setting('app.environment'))
		ORDER BY environment DESC LIMIT 1), false);
END
$$;

CREATE FUNCTION app_sees_all_services() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
BEGIN
	RETURN app_is_elevated() OR app_catalog_everyone();
END
$$;

-- People: everyone known reads the granted columns, nobody writes but through the functions of 0023. The supervisor keeps the plugins' accounts.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY users_read ON users FOR SELECT TO application_role USING ((SELECT app_is_known()));
CREATE POLICY supervisor_users ON users FOR ALL TO mortise_supervisor USING (true) WITH CHECK (provider = 'plugin');

-- Services. Permissive policies add up: own teams, elevated, the plugin's own rows, and for reading everyone's.
ALTER TABLE services ENABLE ROW LEVEL SECURITY;
CREATE POLICY team_services_policy ON services FOR ALL TO application_role
	USING (team_id = ANY (ARRAY(SELECT app_team_ids())))
	WITH CHECK (team_id = ANY (ARRAY(SELECT app_team_ids())));
CREATE POLICY elevated_services_policy ON services FOR ALL TO application_role
	USING ((SELECT app_is_elevated())) WITH CHECK ((SELECT app_is_elevated()));
CREATE POLICY provider_services_policy ON services FOR ALL TO application_role
	USING (provider = (SELECT app_own_plugin())) WITH CHECK (provider = (SELECT app_own_plugin()));
CREATE POLICY everyone_services_policy ON services FOR SELECT TO application_role USING ((SELECT app_catalog_everyone()));

-- Relationships and deployments are no more visible than their services: the sub-selects below go through the policies above.
ALTER TABLE service_relationships ENABLE ROW LEVEL SECURITY;
CREATE POLICY relationships_read ON service_relationships FOR SELECT TO application_role
	USING ((SELECT app_sees_all_services())
		OR (EXISTS (SELECT 1 FROM services s WHERE s.id = source_id) AND EXISTS (SELECT 1 FROM services t WHERE t.id = target_id)));
CREATE POLICY relationships_insert ON service_relationships FOR INSERT TO application_role
	WITH CHECK ((SELECT app_is_elevated()) OR (EXISTS (SELECT 1 FROM services t WHERE t.id = target_id)
		AND EXISTS (SELECT 1 FROM services s WHERE s.id = source_id
			AND (s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin())))));
CREATE POLICY relationships_update ON service_relationships FOR UPDATE TO application_role
	USING ((SELECT app_is_elevated()) OR EXISTS (SELECT 1 FROM services s WHERE s.id = source_id
		AND (s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin()))))
	WITH CHECK ((SELECT app_is_elevated()) OR (EXISTS (SELECT 1 FROM services t WHERE t.id = target_id)
		AND EXISTS (SELECT 1 FROM services s WHERE s.id = source_id
			AND (s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin())))));
CREATE POLICY relationships_delete ON service_relationships FOR DELETE TO application_role
	USING ((SELECT app_is_elevated()) OR EXISTS (SELECT 1 FROM services s WHERE s.id = source_id
		AND (s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin()))));

ALTER TABLE service_deployments ENABLE ROW LEVEL SECURITY;
CREATE POLICY deployments_read ON service_deployments FOR SELECT TO application_role
	USING (EXISTS (SELECT 1 FROM services s WHERE s.id = service_id));
CREATE POLICY deployments_insert ON service_deployments FOR INSERT TO application_role
	WITH CHECK ((SELECT app_is_elevated()) OR EXISTS (SELECT 1 FROM services s WHERE s.id = service_id
		AND (s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin()))));
CREATE POLICY deployments_update ON service_deployments FOR UPDATE TO application_role
	USING ((SELECT app_is_elevated()) OR EXISTS (SELECT 1 FROM services s WHERE s.id = service_id
		AND (s.team_id = ANY (ARRAY(SELECT app_team_ids())) OR s.provider = (SELECT app_own_plugin()))));

-- Samples and events of a service are no more visible than it. What is of no service is its team's, its user's, or who sees the plugin's.
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['metrics', 'events'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY %1$s_read ON %1$I FOR SELECT TO application_role USING ((SELECT app_is_elevated())
			OR (service_id IS NOT NULL AND EXISTS (SELECT 1 FROM services s WHERE s.id = service_id))
			OR (service_id IS NULL AND (team_id = ANY (ARRAY(SELECT app_team_ids())) OR (user_id = (SELECT app_user_id()) AND (SELECT app_is_known()))
				OR EXISTS (SELECT 1 FROM plugin_installations i WHERE i.plugin_id = %1$I.plugin_id))))', t);
		EXECUTE format('CREATE POLICY supervisor_%1$s ON %1$I FOR INSERT TO mortise_supervisor WITH CHECK (true)', t);
	END LOOP;
END
$$;

-- Teams: everyone known reads; people's teams are elevated people's to write, a plugin makes its own.
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY teams_read ON teams FOR SELECT TO application_role USING ((SELECT app_is_known()));
CREATE POLICY teams_insert ON teams FOR INSERT TO application_role
	WITH CHECK ((SELECT app_is_elevated()) OR provider = (SELECT app_own_plugin()));
CREATE POLICY teams_update ON teams FOR UPDATE TO application_role
	USING ((SELECT app_is_elevated()) OR provider = (SELECT app_own_plugin()));

-- Whatever the asker may do, a plugin that asks for him writes rows of its own provider only.
DO $$
DECLARE
	t text;
	own constant text := '((SELECT app_plugin()) = '''' OR provider = (SELECT app_plugin()))';
BEGIN
	FOREACH t IN ARRAY ARRAY['services', 'service_relationships', 'teams'] LOOP
		EXECUTE format('CREATE POLICY plugin_insert ON %I AS RESTRICTIVE FOR INSERT TO application_role WITH CHECK %s', t, own);
		EXECUTE format('CREATE POLICY plugin_update ON %I AS RESTRICTIVE FOR UPDATE TO application_role USING %s WITH CHECK %s', t, own, own);
		EXECUTE format('CREATE POLICY plugin_delete ON %I AS RESTRICTIVE FOR DELETE TO application_role USING %s', t, own);
	END LOOP;
END
$$;
-- Nor does a VIEWER write the catalog, member of the team or not.
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['services', 'service_relationships', 'service_deployments'] LOOP
		EXECUTE format('CREATE POLICY viewer_insert ON %I AS RESTRICTIVE FOR INSERT TO application_role WITH CHECK ((SELECT app_may_write()))', t);
		EXECUTE format('CREATE POLICY viewer_update ON %I AS RESTRICTIVE FOR UPDATE TO application_role USING ((SELECT app_may_write()))', t);
		EXECUTE format('CREATE POLICY viewer_delete ON %I AS RESTRICTIVE FOR DELETE TO application_role USING ((SELECT app_may_write()))', t);
	END LOOP;
END
$$;
-- Deployments carry no provider: theirs is their service's.
CREATE POLICY plugin_insert ON service_deployments AS RESTRICTIVE FOR INSERT TO application_role
	WITH CHECK ((SELECT app_plugin()) = '' OR EXISTS (SELECT 1 FROM services s WHERE s.id = service_id AND s.provider = (SELECT app_plugin())));
CREATE POLICY plugin_update ON service_deployments AS RESTRICTIVE FOR UPDATE TO application_role
	USING ((SELECT app_plugin()) = '' OR EXISTS (SELECT 1 FROM services s WHERE s.id = service_id AND s.provider = (SELECT app_plugin())));

-- Installations: own and elevated read, elevated write, a plugin sees itself and writes none.
ALTER TABLE plugin_installations ENABLE ROW LEVEL SECURITY;
CREATE POLICY plugin_installation_policy ON plugin_installations FOR SELECT TO application_role
	USING ((SELECT app_is_known()) AND (installed_by = (SELECT app_user_id()) OR id = (SELECT app_plugin()) OR (SELECT app_is_elevated())));
CREATE POLICY elevated_installation_policy ON plugin_installations FOR ALL TO application_role
	USING ((SELECT app_is_elevated()) AND (SELECT app_plugin()) = '')
	WITH CHECK ((SELECT app_is_elevated()) AND (SELECT app_plugin()) = '');
CREATE POLICY supervisor_installations ON plugin_installations FOR ALL TO mortise_supervisor USING (true) WITH CHECK (true);

ALTER TABLE plugin_instances ENABLE ROW LEVEL SECURITY;
CREATE POLICY instances_read ON plugin_instances FOR SELECT TO application_role
	USING (EXISTS (SELECT 1 FROM plugin_installations i WHERE i.id = installation_id));
CREATE POLICY supervisor_instances ON plugin_instances FOR ALL TO mortise_supervisor USING (true) WITH CHECK (true);

ALTER TABLE plugin_terminations ENABLE ROW LEVEL SECURITY;
CREATE POLICY terminations_read ON plugin_terminations FOR SELECT TO application_role
	USING (EXISTS (SELECT 1 FROM plugin_installations i WHERE i.id = installation_id));
CREATE POLICY supervisor_terminations ON plugin_terminations FOR ALL TO mortise_supervisor USING (true) WITH CHECK (true);

ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY changes_read ON changes FOR SELECT TO application_role
	USING ((SELECT app_is_known()) AND (actor_id = (SELECT app_user_id()) OR (SELECT app_is_elevated())));
CREATE POLICY changes_open ON changes FOR INSERT TO application_role
	WITH CHECK (actor_id = (SELECT app_user_id()) AND (SELECT app_is_elevated()) AND (SELECT app_plugin()) = '');
CREATE POLICY supervisor_changes ON changes FOR ALL TO mortise_supervisor USING (true) WITH CHECK (true);

-- Trust and settings are an administrator's to write.
ALTER TABLE trust_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY trust_keys_read ON trust_keys FOR SELECT TO application_role USING ((SELECT app_is_known()));
CREATE POLICY trust_keys_insert ON trust_keys FOR INSERT TO application_role
	WITH CHECK ((SELECT app_is_admin()) AND (SELECT app_plugin()) = '');
CREATE POLICY trust_keys_update ON trust_keys FOR UPDATE TO application_role
	USING ((SELECT app_is_admin()) AND (SELECT app_plugin()) = '');
CREATE POLICY supervisor_trust_keys ON trust_keys FOR SELECT TO mortise_supervisor USING (true);

ALTER TABLE trust_pins ENABLE ROW LEVEL SECURITY;
CREATE POLICY trust_pins_read ON trust_pins FOR SELECT TO application_role USING ((SELECT app_is_known()));
CREATE POLICY supervisor_trust_pins ON trust_pins FOR SELECT TO mortise_supervisor USING (true);

ALTER TABLE host_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY host_settings_read ON host_settings FOR SELECT TO application_role USING ((SELECT app_is_known()));
CREATE POLICY host_settings_insert ON host_settings FOR INSERT TO application_role
	WITH CHECK ((SELECT app_is_admin()) AND (SELECT app_plugin()) = '');
CREATE POLICY host_settings_update ON host_settings FOR UPDATE TO application_role
	USING ((SELECT app_is_admin()) AND (SELECT app_plugin()) = '');
CREATE POLICY supervisor_host_settings ON host_settings FOR SELECT TO mortise_supervisor USING (true);

-- What a plugin keeps is its own, whoever it asks for; it asks for somebody, if only its own account.
ALTER TABLE plugin_kv ENABLE ROW LEVEL SECURITY;
CREATE POLICY plugin_kv_own ON plugin_kv FOR ALL TO application_role
	USING (installation_id = (SELECT app_plugin()) AND (SELECT app_is_known()))
	WITH CHECK (installation_id = (SELECT app_plugin()) AND (SELECT app_is_known()));
ALTER TABLE call_operations ENABLE ROW LEVEL SECURITY;
CREATE POLICY call_operations_own ON call_operations FOR ALL TO application_role
	USING (installation_id = (SELECT app_plugin()) AND (SELECT app_is_known()))
	WITH CHECK (installation_id = (SELECT app_plugin()) AND (SELECT app_is_known()));

ALTER TABLE tenant_data ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_data_policy ON tenant_data FOR ALL TO application_role
	USING (tenant_id = (SELECT app_setting('app.current_tenant_id')))
	WITH CHECK (tenant_id = (SELECT app_setting('app.current_tenant_id')));
