#include "identity/backup_code.h"

#include "base/mem.h"
#include "codec/random.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void group(const char *symbols, char *out)
{
	for (size_t i = 0; i < BACKUP_CODE_SYMBOLS; i++) {
		if (i > 0 && i % BACKUP_CODE_GROUP == 0)
			*out++ = '-';
		*out++ = symbols[i];
	}
	*out = '\0';
}

void backup_code_make(char out[static BACKUP_CODE_LEN + 1])
{
	char symbols[BACKUP_CODE_SYMBOLS + 1];

	random_text(symbols, BACKUP_CODE_SYMBOLS, alphabet);
	group(symbols, out);
	mem_wipe(symbols, sizeof(symbols));
}

/* The symbol that a typed character means; 0 for none. */
static char symbol_of(char c)
{
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'I' || c == 'L')
		return '1';
	if (c == 'O')
		return '0';
	return memchr(alphabet, c, sizeof(alphabet) - 1) ? c : 0;
}

bool backup_code_read(struct span typed, char out[static BACKUP_CODE_LEN + 1])
{
	char symbols[BACKUP_CODE_SYMBOLS];
	size_t n = 0;

	for (size_t i = 0; i < typed.len; i++) {
		char c = typed.data[i];

		if (c == '-' || c == ' ' || c == '_' || c == '.')
			continue;
		c = symbol_of(c);
		if (!c || n == BACKUP_CODE_SYMBOLS)
			return false;
		symbols[n++] = c;
	}
	if (n != BACKUP_CODE_SYMBOLS)
		return false;
	group(symbols, out);
	mem_wipe(symbols, sizeof(symbols));
	return true;
}
