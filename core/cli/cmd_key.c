/* mortise key ... - signing keys of publishers */
#include "base/error.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "codec/json.h"
#include "codec/sign.h"
#include "package/key.h"

static int key_generate(struct cli *cli, struct error *err)
{
	char id[SIGN_KEY_ID_SIZE];
	int rc = key_create(cli->arguments[0], id, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		CLEANUP(json_freep)
		json_t *out = json_pack("{s:s, s:s}", "key_id", id, "file", cli->arguments[0]);

		cli_json(out);
		return 0;
	}
	printf("%s\n", id);
	cli_done(cli, "%s is the private half (keep it), %s.pub the public one", cli->arguments[0],
		cli->arguments[0]);
	cli_step(cli, "next", "mortise trust add %s.pub --namespace PUBLISHER", cli->arguments[0]);
	return 0;
}

const struct cli_command cli_key_commands[] = {
	{ "key generate", "FILE", 1, 1, "make a signing key",
		"Makes FILE (the private half, mode 0600) and FILE.pub. Neither replaces a file.",
		{ { 0 } }, key_generate },
	{ 0 },
};
