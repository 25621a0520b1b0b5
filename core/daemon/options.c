#include "daemon/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/place.h"
#include "supervise/listener.h"
#include "supervise/supervisor.h"

#define ENVIRONMENT_MAX 50
#define MS_MAX          UINT64_C(86400000)

/* The value of --flag VALUE or --flag=VALUE; NULL when this argument is another one. */
static const char *flag_value(const char *flag, int argc, char **argv, int *at)
{
	size_t len = strlen(flag);

	if (strncmp(argv[*at], flag, len) != 0)
		return NULL;
	if (argv[*at][len] == '=')
		return argv[*at] + len + 1;
	if (argv[*at][len] == '\0' && *at + 1 < argc)
		return argv[++*at];
	return NULL;
}

static int take_setting(struct options *o, int argc, char **argv, int *at, struct error *err)
{
	struct setting setting;
	char *value;

	for (size_t i = 0; settings_at(&o->settings, i, &setting, &value); i++) {
		const char *given;

		mem_free(value);
		given = flag_value(setting.flag, argc, argv, at);
		if (given)
			return settings_set(&o->settings, setting.name, given, err);
	}
	return error_set(
		err, ERR_USAGE, "'%s' is no flag of mortised, or lacks its value", argv[*at]);
}

static int take_argument(struct options *o, int argc, char **argv, int *at, struct error *err)
{
	const char *value;
	uint64_t number;

	if (strcmp(argv[*at], "--help") == 0 || strcmp(argv[*at], "-h") == 0) {
		o->help = true;
		return 0;
	}
	if (strcmp(argv[*at], "--version") == 0) {
		o->version = true;
		return 0;
	}
	value = flag_value("--ready-fd", argc, argv, at);
	if (!value)
		return take_setting(o, argc, argv, at, err);
	if (!span_u64(span_of(value), INT32_MAX, &number) || fcntl((int)number, F_GETFD) == -1)
		return error_set(
			err, ERR_USAGE, "--ready-fd: '%s' is not an open descriptor", value);
	o->ready_fd = (int)number;
	return fcntl(o->ready_fd, F_SETFD, FD_CLOEXEC) == -1 ? ERR_SYSTEM : 0;
}

static int check_range(
	const char *name, uint64_t value, uint64_t least, uint64_t most, struct error *err)
{
	if (value < least || value > most)
		return error_set(err, ERR_CONFIG, "setting '%s': %llu is not within %llu and %llu",
			name, (unsigned long long)value, (unsigned long long)least,
			(unsigned long long)most);
	return 0;
}

static int check_environment(const char *name, struct error *err)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (len == 0 || len > ENVIRONMENT_MAX || name[len] != '\0')
		return error_set(err, ERR_CONFIG,
			"setting 'environment': '%s' is not a name of a-z, 0-9, - and _", name);
	return 0;
}

static int check_networks(const char *name, const char *list, struct error *err)
{
	struct span rest = span_of(list), network;
	struct error reason;

	while (rest.len > 0 && span_split(&rest, ',', &network)) {
		while (network.len > 0 && network.data[0] == ' ') {
			network.data++;
			network.len--;
		}
		if (network_check(network, &reason) < 0) {
			(void)error_set(err, ERR_CONFIG, "setting '%s': %s", name, reason.text);
			(void)error_fix(err, "%s", reason.fix);
			return ERR_CONFIG;
		}
	}
	return 0;
}

static int check(const struct settings *s, struct error *err)
{
	const struct {
		const char *name;
		uint64_t value, least, most;
	} ranges[] = {
		{ "fronts", s->fronts, 0, SUPERVISOR_FRONTS_MAX },
		{ "worker.start_ms", s->worker_start_ms, 100, MS_MAX },
		{ "worker.stall_ms", s->worker_stall_ms, 2500, MS_MAX },
		{ "worker.drain_ms", s->worker_drain_ms, 1, MS_MAX },
		{ "worker.restarts", s->worker_restarts, 1, 1000 },
		{ "front.silence_ms", s->front_silence_ms, 2500, MS_MAX },
		{ "sample.ms", s->sample_ms, 100, MS_MAX },
		{ "stage.timeout_ms", s->stage_timeout_ms, 100, MS_MAX },
		{ "node.lease_ms", s->node_lease_ms, 1000, 3600000 },
		{ "stop.ms", s->stop_ms, 1, MS_MAX },
		{ "log.bytes", s->log_bytes, 4096, UINT64_C(1) << 40 },
	};
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(ranges) && rc == 0; i++)
		rc = check_range(
			ranges[i].name, ranges[i].value, ranges[i].least, ranges[i].most, err);
	if (rc == 0 && log_level_from(s->log_level) == LOG_LEVEL_COUNT)
		rc = error_set(err, ERR_CONFIG,
			"setting 'log.level': '%s' is none of debug, info, warn, error",
			s->log_level);
	if (rc == 0)
		rc = check_environment(s->environment, err);
	if (rc == 0)
		rc = check_networks("http.trusted_proxies", s->http_trusted_proxies, err);
	return rc < 0 ? rc : listener_check(s->listen, err);
}

int options_init(struct options *o, int argc, char **argv, struct error *err)
{
	struct error later = { 0 };
	int rc, flags = 0;

	memset(o, 0, sizeof(*o));
	o->ready_fd = -1;
	rc = settings_init(&o->settings, err);
	if (rc < 0)
		/* Nothing to set, but there may be somebody to tell. */
		err = &later;
	for (int at = 1; at < argc && flags == 0; at++)
		if (rc == 0 || strcmp(argv[at], "--ready-fd") == 0)
			flags = take_argument(o, argc, argv, &at, err);
	if (rc < 0)
		return rc;
	if (flags == 0 && !o->help && !o->version)
		flags = check(&o->settings, err);
	if (flags < 0)
		settings_done(&o->settings);
	return flags;
}

void options_done(struct options *o)
{
	settings_done(&o->settings);
}

void options_print_help(const struct options *o)
{
	struct setting setting;
	char *value;

	(void)printf("usage: mortised [--SETTING VALUE]...\n\n"
		     "The supervisor of a Mortise host; runs in the foreground until SIGTERM. "
		     "Usually\nstarted by 'mortise up'.\n\n"
		     "  --help, --version\n"
		     "  --ready-fd N\n        write what happens, a line each, to descriptor N: "
		     "'step NAME TEXT',\n        then 'ready', or 'error MRT-NNNN TEXT' and 'fix "
		     "TEXT'\n\nSettings, each also as a variable:\n\n");
	for (size_t i = 0; settings_at(&o->settings, i, &setting, &value); i++) {
		(void)printf("  %s, %s\n        %s%s%s%s\n", setting.flag, setting.variable,
			setting.help, setting.fallback[0] ? " (default " : "", setting.fallback,
			setting.fallback[0] ? ")" : "");
		mem_free(value);
	}
}
