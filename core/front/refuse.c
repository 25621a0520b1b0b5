#include "api/answer.h"
#include "api/api.h"
#include "api/refusals.h"
#include "front/admit.h"
#include "front/front.h"

void front_refuse(struct front *front, struct http_request *request, const struct principal *who,
	struct span request_id, const struct error *err, const struct answer_extra *extra)
{
	char address[ADMIT_ADDRESS_SIZE];

	admit_address(front, request, address);
	refusals_note(api_refusals(front->api), &(struct refusal){
							.request = request,
							.who = who,
							.address = span_of(address),
							.request_id = request_id,
							.err = err,
						});
	answer_problem(request, err, request_id, extra);
}
