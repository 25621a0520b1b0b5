/* mortise-stage as the supervisor starts it: its own process, one message in, one out. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "channel/protocol.h"
#include "codec/json.h"
#include "lib/test.h"
#include "package/manifest.h"
#include "unit/package/fixture.h"

#define MEMORY_BYTES (UINT64_C(64) << 20)
#define CPU_SECONDS  60

struct stage {
	pid_t pid;
	struct channel_line *line;
	int fd;
	struct rusage usage;
};

static void start(struct stage *s)
{
	CLEANUP(mem_freep) char *path = mem_printf("%s/bin/mortise-stage", test_build());
	int ends[2];

	EXPECT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
	s->pid = fork();
	if (s->pid == 0) {
		char *argv[] = { (char[]){ "mortise-stage" }, NULL };

		/* Stage lets nobody trace it, which LeakSanitizer would need at its exit. */
		(void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
		(void)dup2(ends[1], PROTOCOL_FD_CONTROL);
		(void)fcntl(PROTOCOL_FD_CONTROL, F_SETFD, 0);
		(void)execv(path, argv);
		_exit(127);
	}
	(void)close(ends[1]);
	s->fd = ends[0];
	s->line = channel_line_new(
		ends[0], "stage", protocol_limit, PROTOCOL_LINK_STAGE_TO_SUPERVISOR, true);
}

/* Its exit code, or 128 + the signal. */
static int finish(struct stage *s)
{
	int status;

	channel_line_free(s->line);
	(void)close(s->fd);
	EXPECT_INT(wait4(s->pid, &status, 0, &s->usage), ==, s->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void send_job(struct stage *s, uint16_t type, const void *job, int fd)
{
	struct channel_message message = { .type = type, .id = 7, .fd = fd };
	struct text payload;
	struct error err;

	text_init(&payload);
	protocol_encode(&payload, type, job);
	message.payload = text_span(&payload);
	EXPECT_OK(channel_line_send(s->line, &message, &err), &err);
	text_done(&payload);
}

static void receive(struct stage *s, uint16_t type, void *result, struct protocol_memory *memory)
{
	struct channel_message message;
	struct error err;

	EXPECT_OK(channel_line_receive(s->line, &message, &err), &err);
	EXPECT_UINT(message.type, ==, type);
	EXPECT_UINT(message.id, ==, 7);
	EXPECT_OK(protocol_decode(type, message.payload, result, memory, &err), &err);
}

struct job {
	struct stage_package message;
	struct stage_key key;
	char *folder;
};

/* The job for packages of f, into the folder "out" of the test. */
static void job_init(struct job *job, const struct fixture *f)
{
	char *here = get_current_dir_name();

	job->folder = mem_printf("%s/out", here);
	free(here);
	EXPECT_INT(mkdir("out", 0700), ==, 0);
	job->key = (struct stage_key){ .key_id = span_of(f->trusted.id),
		.public_key = { (const char *)f->trusted.public_key, SIGN_PUBLIC_SIZE },
		.name = SPAN("Acme"),
		.namespaces = SPAN("other acme") };
	job->message = (struct stage_package){ .folder = span_of(job->folder),
		.environment = SPAN("production"),
		.triplet = span_of(manifest_host_triplet()),
		.package_bytes = 64u << 20,
		.unpacked_bytes = 64u << 20,
		.memory_bytes = MEMORY_BYTES,
		.cpu_seconds = CPU_SECONDS,
		.keys = { &job->key, 1 } };
}

/* Run a package through a stage; what came back is checked by `check`. */
static void run(const struct job *job, int fd, struct stage *s,
	void (*check)(const struct stage_package_result *result))
{
	struct stage_package_result result;
	struct protocol_memory memory;

	protocol_memory_init(&memory);
	start(s);
	send_job(s, PROTOCOL_STAGE_PACKAGE, &job->message, fd);
	receive(s, PROTOCOL_STAGE_PACKAGE_RESULT, &result, &memory);
	check(&result);
	EXPECT_INT(finish(s), ==, 0);
	protocol_memory_done(&memory);
	EXPECT_INT(fixture_strays(), ==, 0);
}

static void check_honest(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, 0);
	EXPECT_SPAN(result->name, "acme/hello");
	EXPECT_SPAN(result->version, "1.0.0");
	EXPECT_INT(strncmp(result->digest.data, "sha256:", 7), ==, 0);
	EXPECT_UINT(result->files.count, ==, 2);
	EXPECT_SPAN(result->files.items[1].path, "README.md");
	EXPECT_UINT(result->files.items[1].size, ==, 5);
	EXPECT_UINT(result->files.items[1].mode, ==, 0644);
	EXPECT_UINT(result->files.items[1].sha256.len, ==, 32);
	EXPECT_TRUE(span_equal(result->entry, result->files.items[0].path));
	EXPECT_UINT(result->needs.count, ==, 2);
	EXPECT_SPAN(result->needs.items[0], "mortise.core/1");
	EXPECT_UINT(result->wants.count, ==, 1);
	EXPECT_UINT(result->warnings.count, ==, 0);
	EXPECT_UINT(result->key_id.len, ==, 72);
	EXPECT_TRUE(result->manifest.len > 0 && result->envelope.len > result->manifest.len);
}

TEST(stage_job__an_honest_package_is_unpacked_and_described)
{
	struct fixture f;
	struct job job;
	struct stage s;
	struct stat st;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "README.md", "hello");
	fd = fixture_finish(&f);
	run(&job, fd, &s, check_honest);
	EXPECT_INT(stat("out/files/README.md", &st), ==, 0);
	EXPECT_INT(st.st_size, ==, 5);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_warning(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, 0);
	EXPECT_UINT(result->warnings.count, ==, 1);
}

TEST(stage_job__exported_symbols_are_a_warning)
{
	struct fixture f;
	struct job job;
	struct stage s;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	fixture_add_entry(&f, "exports");
	fd = fixture_finish(&f);
	run(&job, fd, &s, check_warning);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_revoked(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, ERR_KEY_REVOKED);
	EXPECT_TRUE(result->text.len > 0 && result->fix.len > 0);
	EXPECT_UINT(result->files.count, ==, 0);
	EXPECT_UINT(result->name.len, ==, 0);
}

TEST(stage_job__a_refusal_is_an_answer)
{
	struct fixture f;
	struct job job;
	struct stage s;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	job.key.revoked = 1;
	fixture_add_entry(&f, "good");
	fd = fixture_finish(&f);
	run(&job, fd, &s, check_revoked);
	EXPECT_INT(access("out/files", F_OK), ==, -1);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_allowed(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, 0);
	EXPECT_UINT(result->key_id.len, ==, 0);
}

static void check_digest_revoked(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, ERR_DIGEST_REVOKED);
}

TEST(stage_job__an_allowed_digest_needs_no_key_and_a_revoked_one_has_none)
{
	struct fixture f;
	struct job job;
	struct stage s;
	struct text whole;
	uint8_t digest[SHA256_SIZE];
	char name[DIGEST_TEXT_SIZE];
	struct span list[1];
	struct error err;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	fixture_add_entry(&f, "good");
	fd = fixture_finish(&f);
	text_init(&whole);
	fixture_read(fd, &whole);
	sha256_of(text_span(&whole), digest);
	digest_text(digest, name);
	list[0] = span_of(name);
	job.message.allowed = (struct protocol_spans){ list, 1 };
	job.message.keys.count = 0;
	run(&job, fd, &s, check_allowed);
	job.message.keys.count = 1;
	job.message.revoked = (struct protocol_spans){ list, 1 };
	EXPECT_OK(io_remove_tree(AT_FDCWD, "out", &err), &err);
	EXPECT_INT(mkdir("out", 0700), ==, 0);
	run(&job, fd, &s, check_digest_revoked);
	text_done(&whole);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

/* As root only: nobody else can become another user. */
TEST(stage_job__rights_are_dropped_before_the_package_is_read)
{
	const uid_t nobody = 65534;
	struct fixture f;
	struct job job;
	struct stage s;
	struct stat st;
	int fd;

	if (geteuid() != 0)
		return;
	fixture_init(&f);
	job_init(&job, &f);
	EXPECT_INT(chmod(".", 0755), ==, 0);
	EXPECT_INT(chown("out", nobody, nobody), ==, 0);
	job.message.drop_rights = 1;
	job.message.uid = job.message.gid = nobody;
	fixture_add_entry(&f, "good");
	fixture_add_file(&f, "README.md", "hello");
	fd = fixture_finish(&f);
	run(&job, fd, &s, check_honest);
	EXPECT_INT(stat("out/files/README.md", &st), ==, 0);
	EXPECT_UINT(st.st_uid, ==, nobody);
	EXPECT_UINT(st.st_gid, ==, nobody);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_bomb(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, ERR_UNPACKED_SIZE);
}

/* 10 GB of zeros from 320 KB, under a header that says there is nothing. */
TEST(stage_job__a_bomb_is_refused_within_the_limits)
{
	struct fixture f;
	struct job job;
	struct stage s;
	struct text payload, tar;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	text_init(&payload);
	text_init(&tar);
	fixture_tar_entry(&tar, &(struct fixture_entry){ .path = f.entry_path, .mode = 0755 });
	fixture_list(f.manifest, f.entry_path, SPAN_NONE, "0755");
	fixture_zstd_header(&payload, 17);
	fixture_zstd_raw(&payload, text_span(&tar), false);
	for (unsigned i = 0; i < 80 * 1024; i++)
		fixture_zstd_zeros(&payload, 128u << 10, i == 80 * 1024 - 1);
	fixture_payload(f.manifest, text_span(&payload), 8192);
	fd = fixture_sign(f.manifest, text_span(&payload), f.key);
	run(&job, fd, &s, check_bomb);
	if (!FIXTURE_SANITIZED)
		EXPECT_INT(s.usage.ru_maxrss, <, 64 << 10);
	text_done(&payload);
	text_done(&tar);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

/* An honest package whose window is the largest allowed, filled. */
static int large_window(struct fixture *f)
{
	const size_t size = 24u << 20;
	char *data = mem_zalloc(size);
	struct span rest, file = { data, size };
	struct text payload;
	int fd;

	fixture_add_entry(f, "good");
	fixture_tar_entry(&f->tar, &(struct fixture_entry){ .path = "big", .data = file });
	fixture_list(f->manifest, "big", file, "0644");
	fixture_tar_end(&f->tar);
	text_init(&payload);
	fixture_zstd_header(&payload, 23);
	rest = text_span(&f->tar);
	while (rest.len > 128u << 10) {
		fixture_zstd_raw(&payload, (struct span){ rest.data, 128u << 10 }, false);
		rest.data += 128u << 10;
		rest.len -= 128u << 10;
	}
	fixture_zstd_raw(&payload, rest, true);
	fixture_payload(f->manifest, text_span(&payload), f->tar.len);
	fd = fixture_sign(f->manifest, text_span(&payload), f->key);
	text_done(&payload);
	mem_free(data);
	return fd;
}

static void check_accepted(const struct stage_package_result *result)
{
	ck_assert_msg(result->rc == 0, "%.*s", SPAN_ARG(result->text));
}

TEST(stage_job__the_largest_window_fits_the_memory)
{
	struct fixture f;
	struct job job;
	struct stage s;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	fd = large_window(&f);
	run(&job, fd, &s, check_accepted);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_out_of_memory(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, <, 0);
}

TEST(stage_job__the_limit_on_memory_is_in_force)
{
	struct fixture f;
	struct job job;
	struct stage s;
	int fd;

	if (FIXTURE_SANITIZED)
		return;
	fixture_init(&f);
	job_init(&job, &f);
	job.message.memory_bytes = 6u << 20;
	fd = large_window(&f);
	run(&job, fd, &s, check_out_of_memory);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

/* It has no answer any more: the kernel ended it. */
TEST(stage_job__the_limit_on_cpu_time_is_in_force)
{
	struct fixture f;
	struct job job;
	struct stage s;
	struct channel_message message;
	struct error err;
	struct text payload;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	job.message.cpu_seconds = 1;
	job.message.unpacked_bytes = UINT64_C(65) << 30;
	fixture_add_entry(&f, "good");
	fixture_tar_end(&f.tar);
	text_init(&payload);
	fixture_zstd_header(&payload, 17);
	fixture_zstd_raw(&payload, text_span(&f.tar), false);
	/* Trailing zeros as signed: 64 GB of them take longer than a second to look at. */
	for (unsigned i = 0; i < 512 * 1024; i++)
		fixture_zstd_zeros(&payload, 128u << 10, i == 512 * 1024 - 1);
	fixture_payload(f.manifest, text_span(&payload), f.tar.len + (UINT64_C(64) << 30));
	fd = fixture_sign(f.manifest, text_span(&payload), f.key);
	start(&s);
	send_job(&s, PROTOCOL_STAGE_PACKAGE, &job.message, fd);
	EXPECT_INT(channel_line_receive(s.line, &message, &err), ==, ERR_CLOSED);
	EXPECT_INT(finish(&s), >, 128);
	text_done(&payload);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_too_large(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, ERR_PACKAGE_SIZE);
}

TEST(stage_job__the_host_s_limits_hold)
{
	struct fixture f;
	struct job job;
	struct stage s;
	int fd;

	fixture_init(&f);
	job_init(&job, &f);
	job.message.package_bytes = 4096;
	fixture_add_entry(&f, "good");
	fd = fixture_finish(&f);
	run(&job, fd, &s, check_too_large);
	(void)close(fd);
	mem_free(job.folder);
	fixture_done(&f);
}

static void check_no_package(const struct stage_package_result *result)
{
	EXPECT_INT(result->rc, ==, ERR_PROTOCOL);
}

TEST(stage_job__a_job_without_a_package_is_refused)
{
	struct fixture f;
	struct job job;
	struct stage s;

	fixture_init(&f);
	job_init(&job, &f);
	run(&job, -1, &s, check_no_package);
	mem_free(job.folder);
	fixture_done(&f);
}

static int run_config(const char *config, struct text *merged)
{
	struct stage_config job = { .config = span_of(config) };
	struct stage_config_result result;
	struct protocol_memory memory;
	struct stage s;
	struct fixture f;
	struct text manifest;
	int rc;

	fixture_init(&f);
	fixture_add_entry(&f, "good");
	fixture_payload(f.manifest, SPAN("x"), 1);
	(void)json_object_set_new(f.manifest, "config",
		json_pack("{s{ss s{s{ss}} sb} s{si}}", "schema", "type", "object", "properties",
			"port", "type", "integer", "additionalProperties", 0, "defaults", "port",
			80));
	text_init(&manifest);
	json_append(&manifest, f.manifest);
	job.manifest = text_span(&manifest);
	protocol_memory_init(&memory);
	start(&s);
	send_job(&s, PROTOCOL_STAGE_CONFIG, &job, -1);
	receive(&s, PROTOCOL_STAGE_CONFIG_RESULT, &result, &memory);
	rc = result.rc;
	text_append_span(merged, rc ? result.text : result.config);
	EXPECT_INT(finish(&s), ==, 0);
	protocol_memory_done(&memory);
	text_done(&manifest);
	fixture_done(&f);
	return rc;
}

TEST(stage_job__a_configuration_goes_over_its_defaults)
{
	struct text merged;

	text_init(&merged);
	EXPECT_INT(run_config("", &merged), ==, 0);
	EXPECT_STR(merged.data, "{\"port\":80}");
	text_clear(&merged);
	EXPECT_INT(run_config("{\"port\":81}", &merged), ==, 0);
	EXPECT_STR(merged.data, "{\"port\":81}");
	text_clear(&merged);
	EXPECT_INT(run_config("{\"port\":\"x\"}", &merged), ==, ERR_CONFIG_VALUE);
	EXPECT_CONTAINS(merged.data, "/port");
	text_clear(&merged);
	EXPECT_INT(run_config("{\"other\":1}", &merged), ==, ERR_CONFIG_VALUE);
	text_clear(&merged);
	EXPECT_INT(run_config("{\"port\":1,\"port\":2}", &merged), ==, ERR_CONFIG_VALUE);
	text_done(&merged);
}

TEST(stage_job__a_closed_channel_is_an_exit)
{
	struct stage s;

	start(&s);
	EXPECT_INT(finish(&s), ==, 1);
}
