/* packages.c: names are interned, so a list of 60,000 packages with their dependencies takes some
 * 15 MB. Dependencies stay text until they are resolved: a target may stand anywhere in the list.
 */
#include "packages.h"

#include <stdlib.h>

#define NOBODY UINT32_MAX

struct packages_name {
	uint64_t offset, size;          /* in text */
	uint64_t depends, depends_size; /* in text, of a package */
	uint32_t package;               /* its number in the list, or NOBODY */
	uint32_t provider; /* number of the first package that provides it, or NOBODY */
	uint32_t marked_by, marked_edge; /* the round of resolving that found it, and its edge */
};

void packages_init(struct packages *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->seed = seed;
}

void packages_done(struct packages *p)
{
	free(p->names);
	free(p->table);
	free(p->list);
	free(p->text);
	free(p->edges);
	free(p->requires);
	memset(p, 0, sizeof(*p));
}

/* Room for one element more in an array; the new array, or NULL. */
static void *grow(void *array, uint32_t count, uint32_t *capacity, size_t size)
{
	uint32_t wanted = *capacity ? *capacity * 2 : 64;
	void *grown;

	if (count < *capacity)
		return array;
	if (wanted > PACKAGES_BYTES_MAX / size)
		return NULL;
	grown = realloc(array, wanted * size);
	if (grown)
		*capacity = wanted;
	return grown;
}

/* Append to a text; line ends become blanks. */
static int32_t append(char **text, uint64_t *used, uint64_t *capacity, struct mortise_str data)
{
	uint64_t wanted = *capacity ? *capacity : 65536;

	if (data.size > PACKAGES_BYTES_MAX - *used)
		return MORTISE_E_LIMIT;
	while (wanted - *used < data.size)
		wanted *= 2;
	if (wanted != *capacity) {
		char *grown = (char *)realloc(*text, wanted);

		if (!grown)
			return MORTISE_E_LIMIT;
		*text = grown;
		*capacity = wanted;
	}
	for (uint64_t i = 0; i < data.size; i++)
		(*text)[*used + i] = data.data[i] == '\n' ? ' ' : data.data[i];
	*used += data.size;
	return 0;
}

static int32_t append_text(struct packages *p, struct mortise_str data)
{
	return append(&p->text, &p->text_size, &p->text_capacity, data);
}

static struct mortise_str name_text(const struct packages *p, uint32_t name)
{
	return mortise_str_of(p->text + p->names[name].offset, p->names[name].size);
}

static uint64_t hash(const struct packages *p, struct mortise_str name)
{
	uint64_t h = p->seed;

	for (uint64_t i = 0; i < name.size; i++) {
		h = (h ^ (unsigned char)name.data[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

/* Where the name stands in the table, or the free place for it. The table is never full. */
static uint32_t find_place(const struct packages *p, struct mortise_str name)
{
	uint32_t mask = p->table_size - 1;
	uint32_t place = (uint32_t)hash(p, name) & mask;

	while (p->table[place] && !mortise_str_equal(name_text(p, p->table[place] - 1), name))
		place = (place + 1) & mask;
	return place;
}

static int32_t grow_table(struct packages *p)
{
	uint32_t size = p->table_size ? p->table_size * 2 : 1024;
	uint32_t *table;

	if (p->name_count < p->table_size / 2)
		return 0;
	table = (uint32_t *)calloc(size, sizeof(*table));
	if (!table)
		return MORTISE_E_LIMIT;
	free(p->table);
	p->table = table;
	p->table_size = size;
	for (uint32_t i = 0; i < p->name_count; i++)
		table[find_place(p, name_text(p, i))] = i + 1;
	return 0;
}

/* The number of a name, which is made known. */
static int32_t intern(struct packages *p, struct mortise_str name, uint32_t *out)
{
	struct packages_name *names;
	uint32_t place;
	int32_t rc = grow_table(p);

	if (rc < 0)
		return rc;
	place = find_place(p, name);
	if (p->table[place]) {
		*out = p->table[place] - 1;
		return 0;
	}
	names = (struct packages_name *)grow(
		p->names, p->name_count, &p->name_capacity, sizeof(*names));
	if (!names)
		return MORTISE_E_LIMIT;
	p->names = names;
	names[p->name_count] = (struct packages_name){
		.offset = p->text_size, .size = name.size, .package = NOBODY, .provider = NOBODY
	};
	rc = append_text(p, name);
	if (rc < 0)
		return rc;
	*out = p->name_count++;
	p->table[place] = *out + 1;
	return 0;
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct mortise_str trim(struct mortise_str text)
{
	while (text.size > 0 && is_blank(text.data[0]))
		text = mortise_str_of(text.data + 1, text.size - 1);
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* Take what stands before the next separator off the front of *rest, trimmed; 0 at the end. */
static int next_part(struct mortise_str *rest, char separator, struct mortise_str *part)
{
	const char *stop;
	uint64_t size;

	if (rest->size == 0)
		return 0;
	stop = (const char *)memchr(rest->data, separator, rest->size);
	if (!stop) {
		*part = trim(*rest);
		*rest = mortise_str_of(NULL, 0);
		return 1;
	}
	size = (uint64_t)(stop - rest->data);
	*part = trim(mortise_str_of(rest->data, size));
	*rest = mortise_str_of(stop + 1, rest->size - size - 1);
	return 1;
}

/* The bare name of "libc6:any (>= 2.36) [amd64]". */
static struct mortise_str bare_name(struct mortise_str part)
{
	uint64_t size = 0;

	while (size < part.size && !is_blank(part.data[size]) && !strchr("(:[<", part.data[size]))
		size++;
	return mortise_str_of(part.data, size);
}

static int32_t add_provides(struct packages *p, uint32_t package, struct mortise_str provides)
{
	struct mortise_str part;

	while (next_part(&provides, ',', &part)) {
		struct mortise_str name = bare_name(part);
		uint32_t number;
		int32_t rc;

		if (name.size == 0)
			continue;
		rc = intern(p, name, &number);
		if (rc < 0)
			return rc;
		if (p->names[number].provider == NOBODY)
			p->names[number].provider = package;
	}
	return 0;
}

int32_t packages_add(struct packages *p, struct mortise_str name, struct mortise_str pre_depends,
	struct mortise_str depends, struct mortise_str provides)
{
	uint32_t *list, number, package = p->count;
	uint64_t offset;
	int32_t rc = intern(p, name, &number);

	if (rc < 0)
		return rc;
	if (p->names[number].package != NOBODY)
		return 0;
	list = (uint32_t *)grow(p->list, p->count, &p->list_capacity, sizeof(*list));
	if (!list)
		return MORTISE_E_LIMIT;
	p->list = list;
	offset = p->text_size;
	rc = append_text(p, pre_depends);
	if (rc == 0 && pre_depends.size > 0)
		rc = append_text(p, MORTISE_STR(","));
	if (rc == 0)
		rc = append_text(p, depends);
	if (rc == 0) {
		p->names[number].depends = offset;
		p->names[number].depends_size = p->text_size - offset;
		p->names[number].package = package;
		p->list[p->count++] = number;
		rc = add_provides(p, package, provides);
	}
	return rc < 0 ? rc : 1;
}

/* The package that satisfies one of the alternatives, or NOBODY. */
static uint32_t choose(const struct packages *p, struct mortise_str group)
{
	struct mortise_str part;
	uint32_t provider = NOBODY;

	while (next_part(&group, '|', &part)) {
		struct mortise_str name = bare_name(part);
		uint32_t found;

		if (name.size == 0)
			continue;
		found = p->table[find_place(p, name)];
		if (!found)
			continue;
		if (p->names[found - 1].package != NOBODY)
			return p->names[found - 1].package;
		if (provider == NOBODY)
			provider = p->names[found - 1].provider;
	}
	return provider;
}

static int32_t append_requires(struct packages *p, struct mortise_str text)
{
	return append(&p->requires, &p->requires_size, &p->requires_capacity, text);
}

/* Note what an edge requires, behind what it requires already. */
static int32_t add_requires(
	struct packages *p, struct packages_edge *edge, struct mortise_str group)
{
	uint64_t offset = p->requires_size;
	int32_t rc = 0;

	if (edge->size + 2 + group.size > PACKAGES_REQUIRES_MAX)
		return 0;
	if (edge->size > 0) {
		char before[PACKAGES_REQUIRES_MAX]; /* a copy, since the text may move as it grows
						     */

		memcpy(before, p->requires + edge->offset, edge->size);
		rc = append_requires(p, mortise_str_of(before, edge->size));
		if (rc == 0)
			rc = append_requires(p, MORTISE_STR(", "));
	}
	if (rc == 0)
		rc = append_requires(p, group);
	if (rc == 0) {
		edge->offset = offset;
		edge->size = p->requires_size - offset;
	}
	return rc;
}

static int32_t add_edge(struct packages *p, uint32_t target, struct mortise_str group)
{
	struct packages_name *name = &p->names[p->list[target]];
	struct packages_edge *edges;

	if (name->marked_by != p->round) {
		edges = (struct packages_edge *)grow(
			p->edges, p->edge_count, &p->edge_capacity, sizeof(*edges));
		if (!edges)
			return MORTISE_E_LIMIT;
		p->edges = edges;
		name->marked_by = p->round;
		name->marked_edge = p->edge_count++;
		edges[name->marked_edge] = (struct packages_edge){ .target = target };
	}
	if (mortise_str_equal(group, name_text(p, p->list[target])))
		return 0;
	return add_requires(p, &p->edges[name->marked_edge], group);
}

int32_t packages_resolve(struct packages *p, uint32_t i)
{
	const struct packages_name *name = &p->names[p->list[i]];
	struct mortise_str rest = mortise_str_of(p->text + name->depends, name->depends_size);
	struct mortise_str group;

	p->edge_count = 0;
	p->requires_size = 0;
	p->round++;
	while (next_part(&rest, ',', &group)) {
		uint32_t target;
		int32_t rc;

		if (group.size == 0)
			continue;
		target = choose(p, group);
		if (target == NOBODY) {
			p->unresolved++;
			continue;
		}
		if (target == i)
			continue;
		rc = add_edge(p, target, group);
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct mortise_str packages_name(const struct packages *p, uint32_t i)
{
	return name_text(p, p->list[i]);
}

struct mortise_str packages_target(const struct packages *p, const struct packages_edge *edge)
{
	return packages_name(p, edge->target);
}

struct mortise_str packages_requires(const struct packages *p, const struct packages_edge *edge)
{
	if (edge->size == 0)
		return mortise_str_of(NULL, 0);
	return mortise_str_of(p->requires + edge->offset, edge->size);
}
