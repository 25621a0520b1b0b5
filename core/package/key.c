#include "package/key.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"

#define KEY_FILE_MAX 4096
#define PUBLIC_ENDS  ".pub"

/* A new file, whole and durable, or none. */
static int create_file(const char *path, struct span data, mode_t mode, struct error *err)
{
	CLEANUP(io_closep)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int rc = 0;

	if (fd == -1 && errno == EEXIST)
		return error_set(err, ERR_CONFLICT, "'%s' exists already", path);
	if (fd == -1)
		return error_set_errno(err, errno, "create '%s'", path);
	if (fchmod(fd, mode) == -1)
		rc = error_set_errno(err, errno, "chmod '%s'", path);
	if (rc == 0)
		rc = io_write_all(fd, data.data, data.len, err);
	if (rc == 0)
		rc = io_fsync(fd, path, err);
	if (rc < 0)
		(void)unlink(path);
	return rc;
}

int key_create(const char *path, char id[SIGN_KEY_ID_SIZE], struct error *err)
{
	CLEANUP(sign_key_freep) struct sign_key *key = NULL;
	CLEANUP(mem_freep) char *public_path = mem_printf("%s" PUBLIC_ENDS, path);
	struct text private_pem, public_pem;
	int rc;

	sign_key_generate(&key);
	text_init(&private_pem);
	text_init(&public_pem);
	sign_key_write(key, &private_pem);
	sign_public_write(sign_key_public(key), &public_pem);
	rc = create_file(public_path, text_span(&public_pem), 0644, err);
	if (rc == 0) {
		rc = create_file(path, text_span(&private_pem), 0600, err);
		if (rc < 0)
			(void)unlink(public_path);
	}
	mem_wipe(private_pem.data, private_pem.cap);
	text_done(&private_pem);
	text_done(&public_pem);
	if (rc == 0 && id)
		sign_key_id(sign_key_public(key), id);
	return rc;
}

static int check_mode(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) == -1 && errno == ENOENT)
		return error_set(err, ERR_NOT_FOUND, "no key file '%s'", path);
	if (stat(path, &st) == -1)
		return error_set_errno(err, errno, "stat '%s'", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO)) {
		(void)error_set(err, ERR_KEY_FILE, "others may read the private key '%s'", path);
		(void)error_fix(err, "if nobody else had access: 'chmod 600 %s'", path);
		return ERR_KEY_FILE;
	}
	return 0;
}

int key_load(struct sign_key **out, const char *path, struct error *err)
{
	struct text pem;
	int rc = check_mode(path, err);

	if (rc < 0)
		return rc;
	text_init(&pem);
	rc = io_read_file(AT_FDCWD, path, KEY_FILE_MAX, &pem, err);
	if (rc == 0) {
		rc = sign_key_parse(out, text_span(&pem), err);
		if (rc < 0)
			(void)error_wrap(err, "key file '%s'", path);
	}
	mem_wipe(pem.data, pem.cap);
	text_done(&pem);
	return rc;
}

int key_load_public(uint8_t out[static SIGN_PUBLIC_SIZE], const char *path, struct error *err)
{
	struct text pem;
	int rc;

	text_init(&pem);
	rc = io_read_file(AT_FDCWD, path, KEY_FILE_MAX, &pem, err);
	if (rc == 0) {
		rc = sign_public_parse(out, text_span(&pem), err);
		if (rc < 0)
			(void)error_wrap(err, "key file '%s'", path);
	}
	text_done(&pem);
	return rc;
}
