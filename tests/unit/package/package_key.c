#include "package/key.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/test.h"

TEST(package_key__both_halves_are_files_and_read_back)
{
	struct sign_key *key = NULL;
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	char id[SIGN_KEY_ID_SIZE], again[SIGN_KEY_ID_SIZE];
	struct error err;
	struct stat st;

	(void)umask(0);
	EXPECT_OK(key_create("me.key", id, &err), &err);
	EXPECT_INT(stat("me.key", &st), ==, 0);
	EXPECT_INT(st.st_mode & 07777, ==, 0600);
	EXPECT_OK(key_load(&key, "me.key", &err), &err);
	EXPECT_OK(key_load_public(public_key, "me.key.pub", &err), &err);
	EXPECT_INT(memcmp(public_key, sign_key_public(key), sizeof(public_key)), ==, 0);
	sign_key_id(public_key, again);
	EXPECT_STR(id, again);
	sign_key_free(key);
}

TEST(package_key__no_file_is_replaced)
{
	struct error err;

	EXPECT_OK(key_create("me.key", NULL, &err), &err);
	EXPECT_INT(key_create("me.key", NULL, &err), ==, ERR_CONFLICT);
	EXPECT_INT(unlink("me.key.pub"), ==, 0);
	EXPECT_INT(key_create("me.key", NULL, &err), ==, ERR_CONFLICT);
	EXPECT_INT(access("me.key.pub", F_OK), ==, -1);
}

TEST(package_key__a_private_key_that_others_may_read_is_refused)
{
	struct sign_key *key = NULL;
	struct error err;

	EXPECT_OK(key_create("me.key", NULL, &err), &err);
	EXPECT_INT(chmod("me.key", 0640), ==, 0);
	EXPECT_INT(key_load(&key, "me.key", &err), ==, ERR_KEY_FILE);
	EXPECT_CONTAINS(error_advice(&err), "chmod 600 me.key");
	EXPECT_NULL(key);
}

TEST(package_key__the_halves_are_not_mistaken_for_each_other)
{
	struct sign_key *key = NULL;
	uint8_t public_key[SIGN_PUBLIC_SIZE];
	struct error err;

	EXPECT_OK(key_create("me.key", NULL, &err), &err);
	EXPECT_INT(chmod("me.key.pub", 0600), ==, 0);
	EXPECT_INT(key_load(&key, "me.key.pub", &err), ==, ERR_KEY_FILE);
	EXPECT_INT(key_load_public(public_key, "me.key", &err), ==, ERR_KEY_FILE);
	EXPECT_INT(key_load(&key, "none", &err), ==, ERR_NOT_FOUND);
	EXPECT_INT(key_load_public(public_key, "none", &err), ==, ERR_NOT_FOUND);
}
