-- Changes: the numbered actions on installations, and their transactions.
--
-- 0 change_open: the change alone, running. 1 change_wish: what shall be. 2 change_commit: what is. Between them lie the files, the
-- worker and the health gate. change_fail ends a change instead of 2 and sets the wish back.
SET LOCAL search_path = public, pg_temp;

CREATE TABLE changes (
	number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	action varchar(20) NOT NULL CHECK (action IN ('install', 'update', 'configure', 'enable', 'disable', 'uninstall')),
	plugin_name varchar(255) NOT NULL,
	environment varchar(50) NOT NULL,
	installation_id varchar(30) REFERENCES plugin_installations,
	from_version varchar(50),
	to_version varchar(50),
	digest varchar(71),
	actor_id varchar(30) NOT NULL REFERENCES users,
	reason text,
	state varchar(10) NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'undone')),
	phases jsonb NOT NULL DEFAULT '[]',
	parameters jsonb NOT NULL DEFAULT '{}',
	before jsonb,
	result jsonb,
	error jsonb,
	operation_key varchar(255),
	node_id varchar(64) REFERENCES nodes,
	fencing_token bigint,
	created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
	wished_at timestamptz,
	finished_at timestamptz,
	CHECK ((state = 'running') = (finished_at IS NULL))
);
CREATE UNIQUE INDEX changes_one_running ON changes (plugin_name, environment) WHERE state = 'running';
CREATE UNIQUE INDEX changes_operation ON changes (actor_id, operation_key) WHERE operation_key IS NOT NULL;
CREATE INDEX changes_plugin ON changes (plugin_name, environment, number DESC);
CREATE INDEX changes_installation ON changes (installation_id);

CREATE FUNCTION change_open(p_action text, p_plugin_name text, p_environment text, p_version text, p_digest text, p_actor text,
	p_reason text, p_parameters jsonb, p_operation_key text) RETURNS changes
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	me varchar := app_user_id();
	params jsonb := coalesce(p_parameters, '{}');
	plugin plugins;
	wished record;
	installation record;
	derived plugin_status;
	live boolean;
	extra text;
	change changes;
	running bigint;
BEGIN
	IF me IS NULL OR coalesce(p_actor, me) <> me OR NOT app_is_elevated() THEN
		RAISE EXCEPTION 'only an administrator or platform engineer may change installations' USING ERRCODE = '42501';
	END IF;
	IF p_action IS NULL OR p_action NOT IN ('install', 'update', 'configure', 'enable', 'disable', 'uninstall') THEN
		RAISE EXCEPTION 'unknown action ''%''', p_action USING ERRCODE = '22023';
	ELSIF coalesce(p_environment, '') = '' OR coalesce(p_operation_key, 'k') = '' OR jsonb_typeof(params) <> 'object' THEN
		RAISE EXCEPTION 'empty environment, empty operation key or parameters that are no object' USING ERRCODE = '22023';
	END IF;

	IF p_operation_key IS NOT NULL THEN
		-- The same request twice at once: the second one waits, and finds the first one's change.
		PERFORM pg_advisory_xact_lock(hashtextextended(me || ' ' || p_operation_key, 7305008));
		SELECT * INTO change FROM changes WHERE actor_id = me AND operation_key = p_operation_key;
		IF change.number IS NOT NULL THEN
			IF (change.action, change.plugin_name, change.environment, change.parameters) IS DISTINCT FROM (p_action::varchar, p_plugin_name::varchar, p_environment::varchar, params)
				OR coalesce(p_version, change.to_version) IS DISTINCT FROM change.to_version OR coalesce(p_digest, change.digest) IS DISTINCT FROM change.digest THEN
				RAISE EXCEPTION 'operation key ''%'' was used for change %', p_operation_key, change.number USING ERRCODE = 'MC008';
			END IF;
			RETURN change;
		END IF;
	END IF;

	-- Busy comes first: what a running change will leave behind is not yet known.
	SELECT number INTO running FROM changes WHERE plugin_name = p_plugin_name AND environment = p_environment AND state = 'running';
	IF running IS NOT NULL THEN
		RAISE EXCEPTION 'another change of ''%'' is running', p_plugin_name
			USING ERRCODE = 'MC001', DETAIL = running, HINT = 'Wait for it to end.';
	END IF;

	SELECT * INTO plugin FROM plugins WHERE name = p_plugin_name;
	SELECT i.id, i.installed_version, i.installed_digest, i.is_enabled, i.uninstalled_at, i.revision INTO installation
	FROM plugin_installations i WHERE i.plugin_id = plugin.id AND i.environment = p_environment;
	live := installation.id IS NOT NULL AND installation.uninstalled_at IS NULL;
	derived := state_of(ARRAY(SELECT n.state FROM plugin_instances n WHERE n.installation_id = installation.id));

	-- A record without a value cannot even be named below.
	SELECT NULL::varchar AS version, NULL::varchar AS checksum, NULL::jsonb AS manifest INTO wished;
	IF p_action IN ('install', 'update') THEN
		SELECT v.version, v.checksum, k.manifest INTO wished
		FROM plugin_versions v LEFT JOIN packages k ON k.digest = v.checksum
		WHERE v.plugin_id = plugin.id AND v.checksum LIKE 'sha256:%'
			AND v.version = coalesce(p_version, CASE WHEN p_digest IS NULL THEN plugin.current_version ELSE v.version END)
			AND v.checksum = coalesce(p_digest, v.checksum);
		IF plugin.id IS NULL OR wished.version IS NULL THEN
			RAISE EXCEPTION 'no package of ''%'' with version ''%'', digest ''%''', p_plugin_name, coalesce(p_version, 'any'), coalesce(p_digest, 'any')
				USING ERRCODE = 'MC004', HINT = 'Upload the package first.';
		END IF;
		SELECT x INTO extra FROM unnest(json_texts(params->'permissions')) x
		WHERE wished.manifest IS NOT NULL AND x <> ALL (json_texts(wished.manifest->'permissions')) LIMIT 1;
		IF extra IS NOT NULL THEN
			RAISE EXCEPTION 'permission ''%'' is not asked for by ''%'' %', extra, p_plugin_name, wished.version USING ERRCODE = '22023';
		END IF;
	END IF;
	IF p_action = 'install' THEN
		IF live AND installation.installed_digest IS NOT NULL AND derived <> 'failed' THEN
			RAISE EXCEPTION '''%'' % is installed already', p_plugin_name, installation.installed_version
				USING ERRCODE = 'MC003', HINT = 'Uninstall it first, to install another version.';
		END IF;
	ELSIF NOT live THEN
		RAISE EXCEPTION '''%'' is not installed in ''%''', p_plugin_name, p_environment USING ERRCODE = 'MC002';
	ELSIF p_action = 'update' THEN
		IF installation.installed_digest IS NULL OR NOT installation.is_enabled OR derived <> 'installed' THEN
			RAISE EXCEPTION '''%'' is %', p_plugin_name, derived USING ERRCODE = 'MC005', HINT = 'Only a running installation is updated.';
		ELSIF wished.checksum = installation.installed_digest THEN
			RAISE EXCEPTION '''%'' % is installed already', p_plugin_name, wished.version USING ERRCODE = 'MC003';
		END IF;
	ELSIF p_action = 'configure' THEN
		IF coalesce(jsonb_typeof(params->'config'), '') <> 'object' THEN
			RAISE EXCEPTION 'a configuration is an object' USING ERRCODE = '22023';
		ELSIF derived NOT IN ('installed', 'disabled') THEN
			RAISE EXCEPTION '''%'' is %', p_plugin_name, derived USING ERRCODE = 'MC005', HINT = 'Install it again, with the configuration.';
		ELSIF (params->>'revision')::bigint <> installation.revision THEN
			RAISE EXCEPTION '''%'' has changed since revision %', p_plugin_name, params->>'revision'
				USING ERRCODE = 'MZ012', HINT = 'Read its configuration again and make the change to that one.';
		END IF;
	ELSIF p_action = 'disable' THEN
		IF derived = 'disabled' THEN
			RAISE EXCEPTION '''%'' is disabled already', p_plugin_name USING ERRCODE = 'MC003';
		ELSIF derived <> 'installed' THEN
			RAISE EXCEPTION '''%'' is %', p_plugin_name, derived USING ERRCODE = 'MC005', HINT = 'Uninstall it, or install it again.';
		END IF;
	ELSIF p_action = 'enable' THEN
		IF derived = 'installed' THEN
			RAISE EXCEPTION '''%'' is enabled already', p_plugin_name USING ERRCODE = 'MC003';
		ELSIF derived <> 'disabled' THEN
			RAISE EXCEPTION '''%'' is %', p_plugin_name, derived USING ERRCODE = 'MC005', HINT = 'Install it again.';
		END IF;
	ELSIF derived NOT IN ('installed', 'disabled', 'failed') THEN
		RAISE EXCEPTION '''%'' is %', p_plugin_name, derived USING ERRCODE = 'MC005';
	END IF;
	IF p_action IN ('install', 'update', 'enable') THEN
		PERFORM package_trust_check(CASE WHEN p_action = 'enable' THEN installation.installed_digest ELSE wished.checksum END, p_environment);
	END IF;

	BEGIN
		INSERT INTO changes(action, plugin_name, environment, installation_id, from_version, to_version, digest, actor_id, reason, parameters, operation_key)
		VALUES (p_action, p_plugin_name, p_environment, installation.id, CASE WHEN live AND installation.installed_digest IS NOT NULL THEN installation.installed_version END,
			CASE WHEN p_action IN ('install', 'update') THEN wished.version WHEN p_action IN ('configure', 'enable', 'disable') THEN installation.installed_version END,
			CASE WHEN p_action IN ('install', 'update') THEN wished.checksum ELSE installation.installed_digest END, me, p_reason, params, p_operation_key)
		RETURNING * INTO change;
	EXCEPTION WHEN unique_violation THEN
		SELECT number INTO running FROM changes WHERE plugin_name = p_plugin_name AND environment = p_environment AND state = 'running';
		RAISE EXCEPTION 'another change of ''%'' is running', p_plugin_name
			USING ERRCODE = 'MC001', DETAIL = coalesce(running::text, ''), HINT = 'Wait for it to end.';
	END;
	PERFORM audit_write('plugin.' || p_action || '.open', 'change', change.number::text, p_plugin_name,
		p_new => jsonb_strip_nulls(jsonb_build_object('environment', p_environment, 'version', change.to_version, 'digest', change.digest, 'reason', p_reason)));
	PERFORM pg_notify('mortise_changes', change.number::text);
	RETURN change;
END
$$;

-- Running changes of the environment that this life of the node has not claimed yet.
CREATE FUNCTION change_claim(p_node text, p_token bigint) RETURNS SETOF changes
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	node nodes := node_check(p_node, p_token);
BEGIN
	RETURN QUERY
	WITH free AS (
		SELECT c.number FROM changes c LEFT JOIN nodes n ON n.id = c.node_id
		WHERE c.state = 'running' AND c.environment = node.environment AND c.fencing_token IS DISTINCT FROM p_token
			AND (c.node_id IS NULL OR c.node_id = p_node OR n.lease_until <= clock_timestamp())
		ORDER BY c.number FOR UPDATE OF c SKIP LOCKED
	)
	UPDATE changes c SET node_id = p_node, fencing_token = p_token FROM free WHERE c.number = free.number RETURNING c.*;
END
$$;

-- The running change of this node, locked.
CREATE FUNCTION change_hold(p_node text, p_token bigint, p_number bigint) RETURNS changes
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	change changes;
BEGIN
	PERFORM node_check(p_node, p_token);
	SELECT * INTO change FROM changes
	WHERE number = p_number AND state = 'running' AND node_id = p_node AND fencing_token = p_token FOR UPDATE;
	IF change.number IS NULL THEN
		RAISE EXCEPTION 'change % is not running on node ''%''', p_number, p_node USING ERRCODE = 'MC006';
	END IF;
	RETURN change;
END
$$;

CREATE FUNCTION change_phase(p_node text, p_token bigint, p_number bigint, p_name text, p_state text, p_detail text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	change changes := change_hold(p_node, p_token, p_number);
	last jsonb := change.phases->-1;
	at jsonb := to_jsonb(clock_timestamp());
BEGIN
	IF p_state NOT IN ('running', 'done', 'failed', 'skipped') THEN
		RAISE EXCEPTION 'unknown phase state ''%''', p_state USING ERRCODE = '22023';
	END IF;
	IF last IS NULL OR last->>'name' <> p_name OR last->>'state' <> 'running' THEN
		last := jsonb_build_object('name', p_name, 'started_at', at);
	ELSE
		change.phases := change.phases - (-1);
	END IF;
	last := last || jsonb_build_object('state', p_state);
	IF p_detail IS NOT NULL THEN
		last := last || jsonb_build_object('detail', p_detail);
	END IF;
	IF p_state <> 'running' THEN
		last := last || jsonb_build_object('ended_at', at);
	END IF;
	UPDATE changes SET phases = change.phases || jsonb_build_array(last) WHERE number = p_number;
	PERFORM pg_notify('mortise_changes', p_number::text);
END
$$;

-- What a change writes about itself, beside the row.
CREATE FUNCTION change_report(change changes, p_step text, p_status text, p_error jsonb) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	facts jsonb := jsonb_strip_nulls(jsonb_build_object('change', change.number, 'environment', change.environment, 'from', change.from_version,
		'to', change.to_version, 'digest', change.digest, 'node', change.node_id));
BEGIN
	PERFORM audit_write('plugin.' || change.action || '.' || p_step, 'plugin_installation', change.installation_id, change.plugin_name,
		p_old => change.before,
		p_new => facts || CASE change.action WHEN 'configure' THEN jsonb_build_object('config', change.parameters->'config') ELSE '{}' END, p_status => p_status, p_error => p_error->>'text', p_actor => change.actor_id);
	IF p_step <> 'wish' THEN
		INSERT INTO events(event_type, event_category, user_id, plugin_id, data, source)
		VALUES ('plugin.' || change.action || '.' || change.state, 'plugin', change.actor_id,
			(SELECT id FROM plugins WHERE name = change.plugin_name),
			facts || jsonb_strip_nulls(jsonb_build_object('installation', change.installation_id, 'error', p_error)), 'system');
	END IF;
	PERFORM pg_notify('mortise_changes', change.number::text);
END
$$;

-- The plugin's service account: what a plugin does in the background is done by this user.
CREATE FUNCTION plugin_account_put(p_installation text, p_name text, p_active boolean) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
	UPDATE users SET is_active = p_active WHERE provider = 'plugin' AND provider_id = p_installation AND deleted_at IS NULL AND is_active <> p_active;
	IF NOT FOUND AND p_active THEN
		INSERT INTO users(email, name, provider, provider_id, role)
		VALUES (p_installation || '@plugin.invalid', p_name, 'plugin', p_installation, 'VIEWER')
		ON CONFLICT DO NOTHING;
	END IF;
END
$$;

CREATE FUNCTION change_wish(p_node text, p_token bigint, p_number bigint, p_config jsonb DEFAULT NULL, p_permissions text[] DEFAULT NULL,
	p_instance_version text DEFAULT NULL, p_instance_digest text DEFAULT NULL) RETURNS plugin_installations
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	change changes := change_hold(p_node, p_token, p_number);
	params jsonb := change.parameters;
	wanted_version text := coalesce(p_instance_version, change.to_version);
	wanted_digest text := coalesce(p_instance_digest, change.digest);
	wanted_permissions text[];
	plugin plugins;
	manifest jsonb;
	old plugin_installations;
	installation plugin_installations;
BEGIN
	IF change.wished_at IS NOT NULL THEN
		RAISE EXCEPTION 'change % has been wished', p_number USING ERRCODE = 'MC007';
	END IF;
	SELECT * INTO plugin FROM plugins WHERE name = change.plugin_name;
	SELECT * INTO old FROM plugin_installations WHERE plugin_id = plugin.id AND environment = change.environment FOR UPDATE;

	IF change.action IN ('install', 'update') THEN
		manifest := (SELECT k.manifest FROM packages k WHERE k.digest = wanted_digest AND k.plugin_id = plugin.id AND k.version = wanted_version);
		IF manifest IS NULL THEN
			RAISE EXCEPTION 'no package of ''%'' % with digest ''%''', change.plugin_name, wanted_version, wanted_digest USING ERRCODE = 'MC004';
		END IF;
		wanted_permissions := coalesce(p_permissions, CASE WHEN params ? 'permissions' THEN json_texts(params->'permissions') END,
			CASE WHEN change.action = 'update' THEN old.granted_permissions END, json_texts(manifest->'permissions'));
		INSERT INTO plugin_installations AS i (plugin_id, environment, installed_version, installed_by, installation_method, config,
			health_check_url, wished_version, wished_digest, granted_permissions)
		VALUES (plugin.id, change.environment, wanted_version, change.actor_id, coalesce(params->>'method', 'api'),
			coalesce(p_config, params->'config', manifest#>'{config,defaults}', '{}'),
			coalesce(params->>'health_check_url', manifest#>>'{health,url}'), wanted_version, wanted_digest, wanted_permissions)
		ON CONFLICT (plugin_id, environment) DO UPDATE SET
			-- A reinstall begins anew; an update keeps what runs until its commit.
			installed_version = CASE WHEN change.action = 'install' AND (i.uninstalled_at IS NOT NULL OR i.installed_digest IS NULL) THEN EXCLUDED.installed_version ELSE i.installed_version END,
			installed_digest = CASE WHEN i.uninstalled_at IS NULL THEN i.installed_digest END,
			previous_version = CASE WHEN i.uninstalled_at IS NULL THEN i.previous_version END,
			installed_by = CASE WHEN change.action = 'install' THEN EXCLUDED.installed_by ELSE i.installed_by END,
			installed_at = CASE WHEN i.uninstalled_at IS NULL THEN i.installed_at ELSE now() END,
			installation_method = EXCLUDED.installation_method,
			config = CASE WHEN change.action = 'install' OR p_config IS NOT NULL OR params ? 'config' THEN EXCLUDED.config ELSE i.config END,
			health_check_url = EXCLUDED.health_check_url, wished_version = EXCLUDED.wished_version, wished_digest = EXCLUDED.wished_digest,
			granted_permissions = EXCLUDED.granted_permissions, is_enabled = true, disabled_at = NULL, uninstalled_at = NULL
		RETURNING * INTO installation;
		PERFORM plugin_account_put(installation.id, change.plugin_name, true);
		PERFORM instance_move(p_node, p_token, installation.id, CASE change.action WHEN 'install' THEN 'installing'::plugin_status ELSE 'updating' END,
			CASE change.action WHEN 'install' THEN wanted_version END, CASE change.action WHEN 'install' THEN wanted_digest END);
	ELSIF change.action = 'configure' AND old.id IS NOT NULL THEN
		UPDATE plugin_installations SET config = coalesce(p_config, params->'config') WHERE id = old.id RETURNING * INTO installation;
	ELSE
		IF old.id IS NULL THEN
			RAISE EXCEPTION '''%'' is not installed in ''%''', change.plugin_name, change.environment USING ERRCODE = 'MC002';
		END IF;
		UPDATE plugin_installations SET is_enabled = (change.action = 'enable'),
			disabled_at = CASE WHEN change.action <> 'enable' THEN coalesce(disabled_at, now()) END
		WHERE id = old.id RETURNING * INTO installation;
		IF change.action = 'uninstall' THEN
			-- Through disabled: nothing is taken apart while it may serve.
			IF EXISTS (SELECT 1 FROM plugin_instances WHERE installation_id = old.id AND node_id = p_node AND state = 'installed') THEN
				PERFORM instance_move(p_node, p_token, old.id, 'disabled');
			END IF;
			IF EXISTS (SELECT 1 FROM plugin_instances WHERE installation_id = old.id AND node_id = p_node AND state <> 'available') THEN
				PERFORM instance_move(p_node, p_token, old.id, 'uninstalling');
			END IF;
		END IF;
	END IF;

	UPDATE changes SET wished_at = now(), installation_id = installation.id, to_version = CASE WHEN change.action <> 'uninstall' THEN wanted_version END, digest = wanted_digest,
		before = CASE WHEN old.id IS NOT NULL THEN jsonb_build_object('installed_version', old.installed_version, 'installed_digest', old.installed_digest,
			'previous_version', old.previous_version, 'wished_version', old.wished_version, 'wished_digest', old.wished_digest, 'config', old.config,
			'granted_permissions', old.granted_permissions, 'health_check_url', old.health_check_url, 'is_enabled', old.is_enabled,
			'disabled_at', old.disabled_at, 'uninstalled_at', old.uninstalled_at) END
	WHERE number = p_number RETURNING * INTO change;
	PERFORM change_report(change, 'wish', 'success', NULL);
	RETURN installation;
END
$$;

CREATE FUNCTION change_commit(p_node text, p_token bigint, p_number bigint, p_result jsonb DEFAULT NULL) RETURNS plugin_installations
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	change changes := change_hold(p_node, p_token, p_number);
	installation plugin_installations;
BEGIN
	IF change.wished_at IS NULL THEN
		RAISE EXCEPTION 'change % has not been wished', p_number USING ERRCODE = 'MC007';
	END IF;
	IF change.action IN ('install', 'update') THEN
		UPDATE plugin_installations SET
			previous_version = CASE WHEN installed_digest IS NOT NULL AND installed_digest <> wished_digest THEN installed_version ELSE previous_version END,
			installed_version = wished_version, installed_digest = wished_digest
		WHERE id = change.installation_id RETURNING * INTO installation;
		PERFORM instance_move(p_node, p_token, installation.id, 'installed', installation.installed_version, installation.installed_digest);
		IF change.action = 'install' THEN
			UPDATE plugins SET install_count = install_count + 1 WHERE id = installation.plugin_id;
		END IF;
	ELSIF change.action = 'uninstall' THEN
		UPDATE plugin_installations SET uninstalled_at = now(), wished_version = NULL, wished_digest = NULL, installed_digest = NULL,
			granted_permissions = '{}', secrets = '{}', health_status = 'unknown', cpu_usage = NULL, memory_usage = NULL, disk_usage = NULL
		WHERE id = change.installation_id RETURNING * INTO installation;
		IF EXISTS (SELECT 1 FROM plugin_instances WHERE installation_id = installation.id AND node_id = p_node AND state <> 'available') THEN
			PERFORM instance_move(p_node, p_token, installation.id, 'available');
		END IF;
		PERFORM plugin_account_put(installation.id, change.plugin_name, false);
	ELSIF change.action = 'configure' THEN
		SELECT * INTO installation FROM plugin_installations WHERE id = change.installation_id;
	ELSE
		SELECT * INTO installation FROM plugin_installations WHERE id = change.installation_id;
		PERFORM instance_move(p_node, p_token, installation.id, CASE change.action WHEN 'enable' THEN 'installed'::plugin_status ELSE 'disabled' END);
	END IF;
	UPDATE changes SET state = 'done', finished_at = now(), result = p_result WHERE number = p_number RETURNING * INTO change;
	PERFORM change_report(change, 'commit', 'success', NULL);
	RETURN installation;
END
$$;

CREATE FUNCTION change_fail(p_node text, p_token bigint, p_number bigint, p_instance_state plugin_status, p_error jsonb) RETURNS changes
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	change changes := change_hold(p_node, p_token, p_number);
	b jsonb := change.before;
	own plugin_status;
BEGIN
	IF (p_instance_state IS NULL) <> (change.wished_at IS NULL) THEN
		RAISE EXCEPTION 'change % was % wished', p_number, CASE WHEN change.wished_at IS NULL THEN 'never' ELSE 'already' END USING ERRCODE = 'MC007',
			HINT = 'Name the state of the instance exactly when the wish was written.';
	END IF;
	IF p_instance_state = 'failed' THEN
		-- The wish stands, and says what was tried; no version serves, so nothing is started until a new change.
		PERFORM instance_move(p_node, p_token, change.installation_id, 'failed', p_failure => p_error || jsonb_build_object('change', p_number));
	ELSIF p_instance_state IN ('installed', 'disabled') THEN
		SELECT state INTO own FROM plugin_instances WHERE installation_id = change.installation_id AND node_id = p_node;
		IF (CASE change.action WHEN 'configure' THEN own WHEN 'enable' THEN 'disabled' WHEN 'update' THEN 'installed' WHEN 'disable' THEN 'installed' END)
			IS DISTINCT FROM p_instance_state THEN
			RAISE EXCEPTION 'a failed % does not leave an instance %', change.action, p_instance_state USING ERRCODE = 'MC005';
		END IF;
		UPDATE plugin_installations SET wished_version = b->>'wished_version', wished_digest = b->>'wished_digest', config = b->'config',
			granted_permissions = json_texts(b->'granted_permissions'), health_check_url = b->>'health_check_url',
			is_enabled = (b->>'is_enabled')::boolean, disabled_at = (b->>'disabled_at')::timestamptz
		WHERE id = change.installation_id;
		IF own <> p_instance_state THEN
			PERFORM instance_move(p_node, p_token, change.installation_id, p_instance_state);
		END IF;
	ELSIF p_instance_state = 'available' THEN
		IF change.action <> 'install' OR b->>'installed_digest' IS NOT NULL THEN
			RAISE EXCEPTION 'a failed % does not leave an instance %', change.action, p_instance_state USING ERRCODE = 'MC005';
		END IF;
		UPDATE plugin_installations SET uninstalled_at = now(), is_enabled = false, wished_version = NULL, wished_digest = NULL, granted_permissions = '{}'
		WHERE id = change.installation_id;
		PERFORM instance_move(p_node, p_token, change.installation_id, 'available');
		PERFORM plugin_account_put(change.installation_id, change.plugin_name, false);
	ELSIF p_instance_state IS NOT NULL THEN
		RAISE EXCEPTION 'a failed % does not leave an instance %', change.action, p_instance_state USING ERRCODE = 'MC005';
	END IF;
	UPDATE changes SET state = 'failed', finished_at = now(), error = p_error WHERE number = p_number RETURNING * INTO change;
	PERFORM change_report(change, 'fail', 'failure', p_error);
	RETURN change;
END
$$;
