/* mortise team ... - teams, their tree and their members */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/list.h"
#include "codec/json.h"

#define DEPTH_MAX 64

static const char *const members[][2] = { { "name", "name" }, { "display-name", "display_name" },
	{ "description", "description" }, { "parent", "parent" }, { "avatar", "avatar" },
	{ "owner", "owner" } };

/* Members of a team that options write; an empty value clears one. */
static json_t *members_of(const struct cli *cli)
{
	json_t *body = json_object();

	for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
		const char *value = cli_value(cli, members[i][0]);

		if (value)
			(void)json_object_set_new(
				body, members[i][1], value[0] ? json_string(value) : json_null());
	}
	return body;
}

static int team_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "name", "display_name", "parent", "members",
		"description" };
	static const char *const filters[] = { "q", "parent", "member", "limit", "after" };
	struct text path;
	int rc;

	text_init(&path);
	text_append_string(&path, "/v1/teams");
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		list_query(&path, cli, filters[i], filters[i]);
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
	text_done(&path);
	return rc;
}

/* Send to /v1/teams/TEAM and what follows. */
static int send_to_team(struct cli *cli, const char *method, const char *below, const json_t *body,
	json_t **out, struct error *err)
{
	struct text path;
	int rc;

	text_init(&path);
	list_path(&path, "/v1/teams", cli->arguments[0]);
	text_append_string(&path, below);
	rc = client_send(cli,
		&(struct client_request){
			.method = method, .path = path.data, .body = body, .upload_fd = -1 },
		out, err);
	text_done(&path);
	return rc;
}

static int team_show(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *team = NULL;
	int rc = send_to_team(cli, "GET", "", NULL, &team, err);

	if (rc == 0)
		list_object(cli, team);
	return rc;
}

static int team_create(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = members_of(cli), *team = NULL;
	int rc;

	(void)json_object_set_new(body, "name", json_string(cli->arguments[0]));
	rc = client_post(cli, "/v1/teams", body, &team, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(team);
	cli_done(cli, "%s is a team", cli->arguments[0]);
	return 0;
}

static int team_change(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = members_of(cli), *team = NULL;
	int rc;

	if (json_object_size(body) == 0)
		return error_set(err, ERR_USAGE, "say what to change: --parent, --name, ...");
	rc = send_to_team(cli, "PATCH", "", body, &team, err);
	if (rc == 0)
		list_object(cli, team);
	return rc;
}

static int team_delete(struct cli *cli, struct error *err)
{
	CLEANUP(mem_freep) char *question = mem_printf("Delete team %s?", cli->arguments[0]);
	CLEANUP(json_freep) json_t *gone = NULL;
	struct text query;
	bool yes;
	int rc = cli_confirm(cli, question, &yes, err);

	if (rc < 0 || !yes)
		return rc;
	text_init(&query);
	if (cli->reason) {
		text_append_string(&query, "?reason=");
		client_escape(&query, cli->reason);
	}
	rc = send_to_team(cli, "DELETE", query.data, NULL, &gone, err);
	text_done(&query);
	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(gone);
	cli_done(cli, "team %s is deleted", cli->arguments[0]);
	return 0;
}

/* ---- the tree ----------------------------------------------------------------------------------
 */

/* All teams, page by page. */
static int read_teams(struct cli *cli, json_t **out, struct error *err)
{
	CLEANUP(json_freep) json_t *teams = json_array();
	struct text path;
	int rc = 0;

	text_init(&path);
	text_append_string(&path, "/v1/teams?limit=500");
	while (rc == 0 && path.len > 0) {
		CLEANUP(json_freep) json_t *page = NULL;
		const char *next;

		rc = client_get(cli, path.data, &page, err);
		text_clear(&path);
		if (rc < 0)
			break;
		(void)json_array_extend(teams, json_object_get(page, "items"));
		next = cli_text(page, "next", "");
		if (next[0]) {
			text_append_string(&path, "/v1/teams?limit=500&after=");
			client_escape(&path, next);
		}
	}
	text_done(&path);
	if (rc == 0)
		*out = json_incref(teams);
	return rc;
}

static bool is_below(const json_t *team, const char *parent)
{
	return strcmp(cli_text(team, "parent", ""), parent) == 0;
}

/* The teams below parent; branch holds what leads to them. A team whose parent nobody lists stands
 * nowhere; the host lets no tree be so deep that it would matter. */
static void print_below(struct cli *cli, const json_t *teams, const char *parent,
	struct text *branch, unsigned depth)
{
	const json_t *team;
	size_t i, left = 0, before = branch->len;

	json_array_foreach(teams, i, team) left += is_below(team, parent);
	if (depth > DEPTH_MAX)
		return;
	json_array_foreach(teams, i, team)
	{
		const char *name = cli_text(team, "name", "?");

		if (!is_below(team, parent))
			continue;
		left--;
		if (depth > 0)
			printf("%s%s ", branch->data, left ? "├─" : "└─");
		cli_put(stdout, name);
		printf("%s  ", cli_style(cli, stdout, STYLE_DIM));
		cli_put(stdout, cli_text(team, "display_name", ""));
		printf("%s\n", cli_style(cli, stdout, STYLE_PLAIN));
		if (depth > 0)
			text_append_string(branch, left ? "│  " : "   ");
		print_below(cli, teams, name, branch, depth + 1);
		branch->len = before;
		branch->data[before] = '\0';
	}
}

static int team_tree(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *teams = NULL;
	struct text branch;
	int rc = read_teams(cli, &teams, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		cli_json(teams);
		return 0;
	}
	text_init(&branch);
	print_below(cli, teams, cli->count ? cli->arguments[0] : "", &branch, 0);
	text_done(&branch);
	return 0;
}

/* ---- members -----------------------------------------------------------------------------------
 */

static int member_list(struct cli *cli, struct error *err)
{
	static const char *const columns[] = { "username", "name", "role", "active", "joined_at",
		"user_id" };
	struct text path;
	int rc;

	text_init(&path);
	list_path(&path, "/v1/teams", cli->arguments[0]);
	text_append_string(&path, "/members");
	list_query(&path, cli, "limit", "limit");
	list_query(&path, cli, "after", "after");
	rc = list_print(cli, path.data, columns, ARRAY_LENGTH(columns), err);
	text_done(&path);
	return rc;
}

static int member_add(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep)
	json_t *body =
		json_pack("{s:s, s:s*}", "user", cli->arguments[1], "role", cli_value(cli, "role"));
	CLEANUP(json_freep) json_t *member = NULL;
	int rc = send_to_team(cli, "POST", "/members", body, &member, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(member);
	cli_done(cli, "%s is %s of %s", cli->arguments[1], cli_text(member, "role", "?"),
		cli->arguments[0]);
	return 0;
}

static int send_to_member(
	struct cli *cli, const char *method, const json_t *body, json_t **out, struct error *err)
{
	struct text below;
	int rc;

	text_init(&below);
	list_path(&below, "/members", cli->arguments[1]);
	rc = send_to_team(cli, method, below.data, body, out, err);
	text_done(&below);
	return rc;
}

static int member_change(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *body = json_pack("{s:s}", "role", cli->arguments[2]);
	CLEANUP(json_freep) json_t *member = NULL;
	int rc = send_to_member(cli, "PATCH", body, &member, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(member);
	cli_done(cli, "%s is %s of %s", cli->arguments[1], cli_text(member, "role", "?"),
		cli->arguments[0]);
	return 0;
}

static int member_remove(struct cli *cli, struct error *err)
{
	CLEANUP(json_freep) json_t *gone = NULL;
	int rc = send_to_member(cli, "DELETE", NULL, &gone, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		cli_json(gone);
	cli_done(cli, "%s is no member of %s any more", cli->arguments[1], cli->arguments[0]);
	return 0;
}

const struct cli_command cli_team_commands[] = {
	{ "team list", "", 0, 0, "list teams", NULL,
		{ { "q", 0, "TEXT", "only those whose name holds this" },
			{ "parent", 0, "TEAM", "only those right below this team" },
			{ "member", 0, "ID", "only those of this user (an id, or 'me')" },
			{ "limit", 'n', "N", "how many" },
			{ "after", 0, "CURSOR", "go on from here, as the last answer said" } },
		team_list },
	{ "team show", "TEAM", 1, 1, "show a team", NULL, { { 0 } }, team_show },
	{ "team tree", "[TEAM]", 0, 1, "show which team stands below which", NULL, { { 0 } },
		team_tree },
	{ "team create", "NAME", 1, 1, "make a team",
		"Who makes a team owns it, unless --owner names another.\n"
		"  mortise team create payments --parent platform --owner ada",
		{ { "display-name", 0, "TEXT", "name for people" },
			{ "description", 0, "TEXT", "what it is for" },
			{ "parent", 0, "TEAM", "the team above" },
			{ "owner", 0, "USER", "its first owner; '' for none" },
			{ "avatar", 0, "URL", "picture" } },
		team_create },
	{ "team change", "TEAM", 1, 1, "change a team",
		"An empty value clears a member: --parent ''.",
		{ { "name", 0, "NAME", "rename it" },
			{ "display-name", 0, "TEXT", "name for people" },
			{ "description", 0, "TEXT", "what it is for" },
			{ "parent", 0, "TEAM", "the team above" },
			{ "avatar", 0, "URL", "picture" } },
		team_change },
	{ "team delete", "TEAM", 1, 1, "delete a team that owns nothing", NULL, { { 0 } },
		team_delete },
	{ "team member list", "TEAM", 1, 1, "list the members of a team", NULL,
		{ { "limit", 'n', "N", "how many" },
			{ "after", 0, "CURSOR", "go on from here, as the last answer said" } },
		member_list },
	{ "team member add", "TEAM USER", 2, 2, "make a user a member", NULL,
		{ { "role", 0, "ROLE", "OWNER, MAINTAINER or MEMBER (the default)" } },
		member_add },
	{ "team member change", "TEAM USER ROLE", 3, 3, "give a member another role", NULL,
		{ { 0 } }, member_change },
	{ "team member remove", "TEAM USER", 2, 2, "end a membership", NULL, { { 0 } },
		member_remove },
	{ 0 },
};
