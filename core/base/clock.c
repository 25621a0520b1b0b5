#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/assert.h"

static struct timespec read_clock(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) == -1)
		BUG("clock_gettime failed");
	return ts;
}

uint64_t clock_ns(void)
{
	struct timespec ts = read_clock(CLOCK_MONOTONIC);

	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

int64_t clock_real_us(void)
{
	struct timespec ts = read_clock(CLOCK_REALTIME);

	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void clock_text(int64_t real_us, char out[static CLOCK_TEXT_SIZE])
{
	int64_t us = real_us % 1000000;
	time_t sec;
	struct tm tm;
	size_t n;

	if (us < 0)
		us += 1000000;
	sec = (time_t)((real_us - us) / 1000000);
	ASSERT(gmtime_r(&sec, &tm));
	n = strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out + n, CLOCK_TEXT_SIZE - n, ".%06dZ", (int)us);
}

static bool two_digits(struct span s, size_t at, int low, int high, int *out)
{
	uint64_t value;

	if (!span_u64((struct span){ s.data + at, 2 }, 99, &value))
		return false;
	*out = (int)value;
	return *out >= low && *out <= high;
}

bool clock_parse(struct span s, int64_t *real_us)
{
	struct tm tm = { 0 };
	int64_t fraction = 0;
	uint64_t year;
	int month;
	size_t at = 19;
	time_t sec;

	if (s.len < 20 || s.data[4] != '-' || s.data[7] != '-' || s.data[10] != 'T' ||
		s.data[13] != ':' || s.data[16] != ':' || s.data[s.len - 1] != 'Z')
		return false;
	if (!span_u64((struct span){ s.data, 4 }, 9999, &year) ||
		!two_digits(s, 5, 1, 12, &month) || !two_digits(s, 8, 1, 31, &tm.tm_mday) ||
		!two_digits(s, 11, 0, 23, &tm.tm_hour) || !two_digits(s, 14, 0, 59, &tm.tm_min) ||
		!two_digits(s, 17, 0, 59, &tm.tm_sec))
		return false;
	if (s.data[at] == '.') {
		int64_t unit = 100000;

		for (at++; at < s.len - 1; at++, unit /= 10) {
			if (s.data[at] < '0' || s.data[at] > '9' || unit == 0)
				return false;
			fraction += (s.data[at] - '0') * unit;
		}
		if (unit == 100000)
			return false;
	}
	if (at != s.len - 1)
		return false;
	tm.tm_year = (int)year - 1900;
	tm.tm_mon = month - 1;
	sec = timegm(&tm);
	/* timegm() turns the 31st of a shorter month into the next month. */
	if (tm.tm_mon != month - 1)
		return false;
	*real_us = (int64_t)sec * 1000000 + fraction;
	return true;
}
