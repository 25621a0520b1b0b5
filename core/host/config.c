#include "host/host_priv.h"

static int32_t config_get(struct mortise_host *handle, struct mortise_str *json)
{
	int32_t rc;
	struct host *h = host_at_home(handle, "config.get", STATES_HOME, &rc);

	if (!h)
		return rc;
	if (!json)
		return MORTISE_E_INVALID;
	*json = str_of(text_span(&h->config));
	return 0;
}

const struct mortise_config_1 host_config_1 = { config_get };

/* One of the two steps; the plugin's words on a refusal. */
static int step(struct host *h, const char *name, struct span config,
	int32_t (*fn)(struct mortise_instance *, struct mortise_str, struct mortise_error *),
	struct error *err)
{
	struct mortise_error why = { 0 };
	int32_t rc;

	host_enter(h, name, NULL);
	rc = fn(h->self, str_of(config), &why);
	host_leave(h);
	if (rc == 0)
		return 0;
	why.text[sizeof(why.text) - 1] = '\0';
	return error_set(err, ERR_PLUGIN_REFUSED, "%s: %s", name,
		why.text[0] ? why.text : "it gave no reason");
}

int host_configure(struct host *h, struct span config, struct error *err)
{
	struct text old;
	int rc;

	if (!h->apply)
		return error_set(err, ERR_UNSUPPORTED,
			"the plugin takes no new configuration while it runs");
	if (h->state != HOST_SERVING)
		return error_set(err, ERR_STATE, "the plugin is not serving");
	rc = step(h, "config.check", config, h->apply->check, err);
	if (rc < 0)
		return rc;
	/* get() gives the new one inside apply() already. */
	old = h->config;
	text_init(&h->config);
	text_append_span(&h->config, config);
	rc = step(h, "config.apply", config, h->apply->apply, err);
	if (rc < 0) {
		text_done(&h->config);
		h->config = old;
		return rc;
	}
	text_done(&old);
	return 0;
}
