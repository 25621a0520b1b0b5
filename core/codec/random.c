#include "codec/random.h"

#include <limits.h>
#include <string.h>

#include "base/assert.h"
#include "codec/openssl_priv.h"

void random_bytes(void *out, size_t len)
{
	unsigned char *p = out;

	while (len > 0) {
		int n = len > INT_MAX ? INT_MAX : (int)len;

		if (RAND_bytes(p, n) != 1)
			BUG("the operating system gives no random bytes");
		p += n;
		len -= (size_t)n;
	}
}

uint32_t random_below(uint32_t below)
{
	/* Values under this are dropped, so that what is left is a multiple of below. */
	uint32_t skip, value;

	ASSERT(below > 0);
	skip = (0u - below) % below;
	do
		random_bytes(&value, sizeof(value));
	while (value < skip);
	return value % below;
}

void random_text(char *out, size_t len, const char *alphabet)
{
	size_t n = strlen(alphabet);

	ASSERT(n >= 2 && n <= 256);
	for (size_t i = 0; i < len; i++)
		out[i] = alphabet[random_below((uint32_t)n)];
	out[len] = '\0';
}
