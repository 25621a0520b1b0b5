/* The shared objects that the tests of packages are made of; one is good, the others each have one
 * fault, chosen by a definition. Nothing of it is ever called. */
#include <mortise/plugin.h>

#ifndef INTERFACES
#define INTERFACES MORTISE_NEED("mortise.http/1") MORTISE_WANT("mortise.timer/1")
#endif

#ifdef TEXT_RELOCATION
/* An absolute address among the code: the loader would have to write there. */
__asm__(".pushsection .text\n.8byte mortise_plugin_v1\n.popsection");
#endif

static int32_t create(
	struct mortise_host *host, struct mortise_instance **self, struct mortise_error *err)
{
	(void)host;
	(void)self;
	(void)err;
	return 0;
}

#ifdef EXTRA_SYMBOLS
__attribute__((visibility("default"))) int extra_one(void);
__attribute__((visibility("default"))) int extra_two(void);
int extra_one(void)
{
	return 1;
}
int extra_two(void)
{
	return 2;
}
#endif

#ifdef NO_NOTE
__attribute__((visibility("default")))
const struct mortise_plugin mortise_plugin_v1 = { sizeof(struct mortise_plugin), MORTISE_ABI,
	"acme/hello", "1.0.0", .create = create };
#else
MORTISE_PLUGIN("acme/hello", "1.0.0", INTERFACES, .create = create);
#endif
