#include "identity/principal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "identity/place.h"

static const char *const role_names[ROLE_COUNT] = {
	[ROLE_VIEWER] = "VIEWER",
	[ROLE_DEVELOPER] = "DEVELOPER",
	[ROLE_PLATFORM_ENGINEER] = "PLATFORM_ENGINEER",
	[ROLE_ADMIN] = "ADMIN",
};

enum role role_from(struct span name)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (span_is(name, role_names[i]))
			return (enum role)i;
	return ROLE_COUNT;
}

const char *role_name(enum role role)
{
	ASSERT(role < ROLE_COUNT);
	return role_names[role];
}

struct principal *principal_new(void)
{
	struct principal *p = mem_zalloc(sizeof(*p));

	p->refs = 1;
	return p;
}

struct principal *principal_ref(struct principal *p)
{
	ASSERT(p->refs > 0);
	p->refs++;
	return p;
}

void principal_unref(struct principal *p)
{
	if (!p)
		return;
	ASSERT(p->refs > 0);
	if (--p->refs > 0)
		return;
	scopes_done(&p->scopes);
	mem_free(p->user_name);
	mem_free(p->user_provider);
	mem_free(p->allowed_ips);
	mem_free(p->allowed_origins);
	mem_free(p);
}

bool principal_allows_peer(const struct principal *p, const char *address)
{
	return !p->allowed_ips || networks_hold(span_of(p->allowed_ips), span_of(address));
}

/* Only browsers send an origin, and they always send it when a page of another origin asks. */
bool principal_allows_origin(const struct principal *p, struct span origin)
{
	return !p->allowed_origins || origin.len == 0 ||
	       origins_hold(span_of(p->allowed_origins), origin);
}
