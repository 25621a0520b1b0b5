#include "base/loop.h"

#include <uv.h>

#include "base/assert.h"
#include "base/mem.h"

struct work {
	uv_work_t request;
	work_cb work;
	work_done_cb done;
	void *user;
};

static void on_work(uv_work_t *request)
{
	struct work *w = CONTAINER_OF(request, struct work, request);

	w->work(w->user);
}

static void on_after_work(uv_work_t *request, int status)
{
	struct work *w = CONTAINER_OF(request, struct work, request);

	w->done(w->user, status == UV_ECANCELED);
	mem_free(w);
}

struct work *work_submit(struct uv_loop_s *loop, work_cb work, work_done_cb done, void *user)
{
	struct work *w = mem_zalloc(sizeof(*w));

	w->work = work;
	w->done = done;
	w->user = user;
	if (uv_queue_work(loop, &w->request, on_work, on_after_work) != 0)
		BUG("uv_queue_work refused");
	return w;
}

void work_cancel(struct work *w)
{
	(void)uv_cancel((uv_req_t *)&w->request);
}
