#include "package/trust.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "lib/test.h"

static char name[] = "Acme", publisher[] = "acme", reason[] = "why";
static char *namespaces[] = { publisher };

static struct trust_key make_key(void)
{
	struct trust_key key = { .name = name, .namespaces = namespaces, .namespace_count = 1 };
	struct sign_key *private_key;

	sign_key_generate(&private_key);
	memcpy(key.public_key, sign_key_public(private_key), SIGN_PUBLIC_SIZE);
	sign_key_id(key.public_key, key.id);
	sign_key_free(private_key);
	return key;
}

TEST(package_trust__a_folder_reads_back_as_it_was_saved)
{
	static char role[] = "in-process", *roles[] = { role };
	struct trust_key key = make_key();
	struct trust_pin pin = {
		.digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000",
		.reason = reason,
		.expires_us = 5000000
	};
	const struct trust_key *found;
	struct trust *trust = NULL;
	struct error err;

	key.roles = roles;
	key.role_count = 1;
	key.development = true;
	key.expires_us = INT64_C(1900000000000001);
	EXPECT_OK(trust_save_key("trust", &key, &err), &err);
	EXPECT_OK(trust_save_pin("trust", &pin, &err), &err);
	EXPECT_OK(io_write_file(AT_FDCWD, "trust/README", SPAN("passed over"), 0644, &err), &err);
	EXPECT_OK(trust_load(&trust, "trust", &err), &err);
	found = trust_find_key(trust, span_of(key.id));
	EXPECT_PTR(found);
	EXPECT_STR(found->name, "Acme");
	EXPECT_STR(found->roles[0], "in-process");
	EXPECT_STR(found->namespaces[0], "acme");
	EXPECT_TRUE(found->development);
	EXPECT_FALSE(found->revoked);
	EXPECT_INT(found->expires_us, ==, INT64_C(1900000000000001));
	EXPECT_PTR(trust_find_pin(trust, span_of(pin.digest)));
	EXPECT_INT(trust_pin_at(trust, 0)->expires_us, ==, 5000000);
	EXPECT_NULL(trust_key_at(trust, 1));
	EXPECT_NULL(trust_pin_at(trust, 1));
	trust_free(trust);
}

TEST(package_trust__saving_again_replaces)
{
	struct trust_key key = make_key();
	struct trust *trust = NULL;
	struct error err;

	EXPECT_OK(trust_save_key("trust", &key, &err), &err);
	key.revoked = true;
	key.reason = reason;
	EXPECT_OK(trust_save_key("trust", &key, &err), &err);
	EXPECT_OK(trust_load(&trust, "trust", &err), &err);
	EXPECT_TRUE(trust_key_at(trust, 0)->revoked);
	EXPECT_NULL(trust_key_at(trust, 1));
	trust_free(trust);
}

static int load_as(const char *id, const char *json, struct error *err)
{
	CLEANUP(mem_freep) char *path = mem_printf("trust/key-%s.json", id);
	struct trust *trust = NULL;
	struct error ignored;
	int rc;

	EXPECT_OK(io_make_dirs("trust", 0755, &ignored), &ignored);
	EXPECT_OK(io_write_file(AT_FDCWD, path, span_of(json), 0644, &ignored), &ignored);
	rc = trust_load(&trust, "trust", err);
	trust_free(trust);
	return rc;
}

TEST(package_trust__files_of_another_form_are_refused)
{
	static const char id[] = "00000000000000000000000000000000"
				 "00000000000000000000000000000000";
	struct error err;

	EXPECT_INT(load_as(id, "", &err), ==, ERR_TRUST_FILE);
	EXPECT_INT(load_as(id, "[]", &err), ==, ERR_TRUST_FILE);
	EXPECT_INT(load_as(id, "{\"key_id\":\"x\"}", &err), ==, ERR_TRUST_FILE);
	EXPECT_CONTAINS(err.text, id);
}

TEST(package_trust__a_key_under_another_name_is_refused)
{
	struct trust_key key = make_key();
	CLEANUP(mem_freep) char *from = mem_printf("trust/key-%s.json", strchr(key.id, ':') + 1);
	CLEANUP(mem_freep) char *to = mem_strdup(from);
	struct trust *trust = NULL;
	struct error err;

	EXPECT_OK(trust_save_key("trust", &key, &err), &err);
	to[10] = to[10] == '0' ? '1' : '0';
	EXPECT_INT(rename(from, to), ==, 0);
	EXPECT_INT(trust_load(&trust, "trust", &err), ==, ERR_TRUST_FILE);
	EXPECT_NULL(trust);
}

TEST(package_trust__an_id_of_another_key_is_refused)
{
	struct trust_key key = make_key();
	struct trust *trust;
	struct error err;

	trust_new(&trust);
	key.public_key[0] ^= 1;
	EXPECT_INT(trust_put_key(trust, &key, &err), ==, ERR_TRUST_FILE);
	EXPECT_NULL(trust_key_at(trust, 0));
	trust_free(trust);
}

TEST(package_trust__namespaces_are_publishers_plugins_or_all)
{
	static const char *const good[] = { "*", "acme", "acme/hello", "a-1" };
	static const char *const bad[] = { "", "acme/", "/hello", "Acme", "a b", "acme/hello/x",
		"acme*", "-a" };

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		ck_assert_msg(trust_namespace_valid(span_of(good[i])), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		ck_assert_msg(!trust_namespace_valid(span_of(bad[i])), "%s", bad[i]);
}

TEST(package_trust__a_folder_that_is_not_there_is_not_found)
{
	struct trust *trust = NULL;
	struct error err;

	EXPECT_INT(trust_load(&trust, "none", &err), ==, ERR_NOT_FOUND);
	EXPECT_NULL(trust);
}
