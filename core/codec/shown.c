#include "codec/shown.h"

#define CUT "..."

struct shown shown(struct span bytes)
{
	static const char digits[] = "0123456789abcdef";
	struct shown out;
	size_t n = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.data[i];

		if (n + sizeof("\\xNN") + sizeof(CUT) > sizeof(out.text)) {
			memcpy(out.text + n, CUT, sizeof(CUT) - 1);
			n += sizeof(CUT) - 1;
			break;
		}
		if (c >= ' ' && c <= '~' && c != '\\') {
			out.text[n++] = (char)c;
			continue;
		}
		out.text[n++] = '\\';
		out.text[n++] = 'x';
		out.text[n++] = digits[c >> 4];
		out.text[n++] = digits[c & 15];
	}
	out.text[n] = '\0';
	return out;
}
