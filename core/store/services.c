#include "store/services.h"

#include "store/store_priv.h"

static void read_service(struct db_row *r, struct store_service *s)
{
	s->id = db_row_text(r);
	s->name = db_row_text(r);
	s->display_name = db_row_text(r);
	s->description = db_row_text(r);
	s->type = db_row_text(r);
	s->lifecycle = db_row_text(r);
	s->tier = db_row_text(r);
	s->owner_id = db_row_text(r);
	s->team_id = db_row_text(r);
	s->team_name = db_row_text(r);
	s->team_display_name = db_row_text(r);
	s->repository_url = db_row_text(r);
	s->documentation_url = db_row_text(r);
	s->api_spec_url = db_row_text(r);
	s->tags = db_row_array(r);
	s->labels = db_row_text(r);
	s->annotations = db_row_text(r);
	s->metadata = db_row_text(r);
	s->health = db_row_text(r);
	s->provider = db_row_text(r);
	s->provider_key = db_row_text(r);
	s->depends_on = db_row_int(r, 0);
	s->created_at = db_row_time(r, 0);
	s->updated_at = db_row_time(r, 0);
}
STORE_SHAPE(service_shape, struct store_service, read_service, store_services_cb);

#define SELECT_SERVICE                                                                           \
	"SELECT s.id, s.name, s.display_name, s.description, s.type, s.lifecycle, s.tier, "      \
	"s.owner_id, s.team_id, t.name, t.display_name, s.repository_url, s.documentation_url, " \
	"s.api_spec_url, s.tags, s.labels, s.annotations, s.metadata, s.health_status, "         \
	"s.provider, s.provider_key, cardinality(s.depends_on), s.created_at, s.updated_at "     \
	"FROM services s LEFT JOIN teams t ON t.id = s.team_id WHERE s.deleted_at IS NULL "

static const struct db_statement service_get = {
	.name = "service_get",
	.sql = SELECT_SERVICE "AND (s.name = $1 OR s.id = $1) ORDER BY s.name = $1 DESC LIMIT 1",
	.params = 1,
	.flags = DB_STATEMENT_READS,
};

void store_service_get(struct db_pool *db, const struct db_context *context, struct span name_or_id,
	store_services_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(name_or_id) };

	store_send(db, &(struct store_query){ .statement = &service_get,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &service_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement services_list = {
	.name = "services_list",
	.sql = SELECT_SERVICE
	"AND ($1::text IS NULL OR s.name > $1) AND ($2::text IS NULL "
	"OR to_tsvector('english', s.name || ' ' || COALESCE(s.description, '')) "
	"@@ plainto_tsquery('english', $2)) "
	"AND ($3::text IS NULL OR s.type = $3::service_type) "
	"AND ($4::text IS NULL OR s.lifecycle = $4::lifecycle_stage) "
	"AND ($5::text IS NULL OR t.name = $5) AND ($6::text IS NULL OR s.tags @> ARRAY[$6]) "
	"AND ($7::text IS NULL OR s.provider = $7) ORDER BY s.name LIMIT $8",
	.params = 8,
	.flags = DB_STATEMENT_READS,
};

void store_services_list(struct db_pool *db, const struct db_context *context,
	const struct store_services_filter *filter, store_services_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(filter->after),
		store_text_or_null(filter->query),
		store_text_or_null(filter->type),
		store_text_or_null(filter->lifecycle),
		store_text_or_null(filter->team),
		store_text_or_null(filter->tag),
		store_text_or_null(filter->provider),
		store_limit(filter->limit),
	};

	store_send(db, &(struct store_query){ .statement = &services_list,
			       .context = context,
			       .params = params,
			       .shape = &service_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static void read_relationship(struct db_row *r, struct store_relationship *e)
{
	e->source_id = db_row_text(r);
	e->source_name = db_row_text(r);
	e->target_id = db_row_text(r);
	e->target_name = db_row_text(r);
	e->type = db_row_text(r);
	e->metadata = db_row_text(r);
	e->strength = db_row_real(r, -1);
}
STORE_SHAPE(
	relationship_shape, struct store_relationship, read_relationship, store_relationships_cb);

#define SELECT_RELATIONSHIP                                                    \
	"SELECT a.id, a.name, b.id, b.name, r.relationship_type, r.metadata, " \
	"r.strength::float8 FROM service_relationships r "                     \
	"JOIN services a ON a.id = r.source_id AND a.deleted_at IS NULL "      \
	"JOIN services b ON b.id = r.target_id AND b.deleted_at IS NULL "

static const struct db_statement relationships_outgoing = {
	.name = "relationships_outgoing",
	.sql = SELECT_RELATIONSHIP
	"WHERE r.source_id = $1 AND ($2::text IS NULL OR r.relationship_type = "
	"$2::relationship_type) AND ($3::text IS NULL OR b.name > $3) "
	"ORDER BY b.name, r.relationship_type LIMIT $4",
	.params = 4,
	.flags = DB_STATEMENT_READS,
};
static const struct db_statement relationships_incoming = {
	.name = "relationships_incoming",
	.sql = SELECT_RELATIONSHIP
	"WHERE r.target_id = $1 AND ($2::text IS NULL OR r.relationship_type = "
	"$2::relationship_type) AND ($3::text IS NULL OR a.name > $3) "
	"ORDER BY a.name, r.relationship_type LIMIT $4",
	.params = 4,
	.flags = DB_STATEMENT_READS,
};

void store_relationships_list(struct db_pool *db, const struct db_context *context,
	const struct store_relationships_filter *filter, store_relationships_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(filter->service_id),
		store_text_or_null(filter->type),
		DB_TEXT(filter->after),
		store_limit(filter->limit),
	};

	store_send(
		db, &(struct store_query){ .statement = filter->incoming ? &relationships_incoming
									 : &relationships_outgoing,
			    .context = context,
			    .params = params,
			    .shape = &relationship_shape,
			    .done = (store_fn)done,
			    .user = user });
}

static void read_dependency(struct db_row *r, struct store_dependency *d)
{
	d->id = db_row_text(r);
	d->name = db_row_text(r);
	d->display_name = db_row_text(r);
	d->type = db_row_text(r);
	d->depth = db_row_int(r, 0);
	d->via = db_row_text(r);
}
STORE_SHAPE(dependency_shape, struct store_dependency, read_dependency, store_dependencies_cb);

static const struct db_statement service_closure = {
	.name = "service_closure",
	.sql = "SELECT s.id, s.name, s.display_name, s.type, c.depth, c.via "
	       "FROM catalog_closure($1, $2, $3, NULL) c JOIN services s ON s.id = c.id "
	       "WHERE $4::int = 0 OR c.depth > $4 OR (c.depth = $4 AND s.name COLLATE \"C\" > "
	       "$5::text) "
	       "ORDER BY c.depth, s.name COLLATE \"C\" LIMIT $6",
	.params = 6,
	.flags = DB_STATEMENT_READS,
};

void store_service_closure(struct db_pool *db, const struct db_context *context,
	const struct store_closure *closure, store_dependencies_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(closure->service_id),
		DB_INT(closure->depth),
		DB_BOOL(closure->reverse),
		DB_INT(closure->after_depth),
		DB_TEXT(closure->after_name.data ? closure->after_name : SPAN("")),
		store_limit(closure->limit),
	};

	store_send(db, &(struct store_query){ .statement = &service_closure,
			       .context = context,
			       .params = params,
			       .shape = &dependency_shape,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement dependencies_get = {
	.name = "dependencies_get",
	.sql = "SELECT s.id, s.name, s.display_name, s.type, c.depth, c.via "
	       "FROM unnest($1::text[], $2::text[], $3::int[]) c(id, via, depth) "
	       "CROSS JOIN LATERAL (SELECT x.* FROM services x "
	       "WHERE x.id = c.id AND x.deleted_at IS NULL LIMIT 1) s "
	       "ORDER BY c.depth, s.name COLLATE \"C\"",
	.params = 3,
	.flags = DB_STATEMENT_READS,
};

void store_dependencies_get(struct db_pool *db, const struct db_context *context,
	const struct store_found *found, store_dependencies_cb done, void *user)
{
	CLEANUP(mem_freep) char *ids = NULL;
	CLEANUP(mem_freep) char *vias = NULL;
	CLEANUP(mem_freep) char *depths = NULL;
	struct db_param params[3] = { store_array(found->ids, found->count, &ids),
		store_array(found->vias, found->count, &vias) };
	struct text list;

	text_init(&list);
	text_append_char(&list, '{');
	for (size_t i = 0; i < found->count; i++)
		text_printf(&list, "%s%lld", i ? "," : "", (long long)found->depths[i]);
	text_append_char(&list, '}');
	depths = text_take(&list);
	text_done(&list);
	params[2] = DB_STR(depths);
	store_send(db, &(struct store_query){ .statement = &dependencies_get,
			       .context = context,
			       .params = params,
			       .shape = &dependency_shape,
			       .done = (store_fn)done,
			       .user = user });
}

/* A batch of some thousand entities may take longer than a request's read. */
#define BULK_TIMEOUT_MS 60000

static const struct db_statement catalog_apply = {
	.name = "catalog_apply",
	.sql = "SELECT catalog_apply($1, $2, $3, $4, $5)",
	.params = 5,
};

void store_catalog_apply(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(write->provider),
		DB_TEXT(write->items),
		DB_BOOL(write->create_teams),
		store_int_or_null(write->sync, 0),
		store_text_or_null(write->operation),
	};

	store_send(db, &(struct store_query){ .statement = &catalog_apply,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .timeout_ms = BULK_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement catalog_relate = {
	.name = "catalog_relate",
	.sql = "SELECT catalog_relate($1, $2, $3, $4)",
	.params = 4,
};

void store_catalog_relate(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(write->provider),
		DB_TEXT(write->items),
		store_int_or_null(write->sync, 0),
		store_text_or_null(write->operation),
	};

	store_send(db, &(struct store_query){ .statement = &catalog_relate,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .timeout_ms = BULK_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement catalog_sync_begin = {
	.name = "catalog_sync_begin",
	.sql = "SELECT catalog_sync_begin($1, $2)",
	.params = 2,
};

void store_catalog_sync_begin(struct db_pool *db, const struct db_context *context,
	struct span provider, struct span operation, store_number_cb done, void *user)
{
	const struct db_param params[] = { DB_TEXT(provider), store_text_or_null(operation) };

	store_send(db, &(struct store_query){ .statement = &catalog_sync_begin,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_number,
			       .done = (store_fn)done,
			       .user = user });
}

static const struct db_statement catalog_sync_finish = {
	.name = "catalog_sync_finish",
	.sql = "SELECT catalog_sync_finish($1, $2, $3)",
	.params = 3,
};

void store_catalog_sync_finish(struct db_pool *db, const struct db_context *context,
	const struct store_catalog_write *write, store_text_cb done, void *user)
{
	const struct db_param params[] = {
		DB_TEXT(write->provider),
		DB_INT(write->sync),
		store_text_or_null(write->operation),
	};

	store_send(db, &(struct store_query){ .statement = &catalog_sync_finish,
			       .context = context,
			       .params = params,
			       .rows = STORE_ROWS_ONE,
			       .shape = &store_text,
			       .timeout_ms = BULK_TIMEOUT_MS,
			       .done = (store_fn)done,
			       .user = user });
}
