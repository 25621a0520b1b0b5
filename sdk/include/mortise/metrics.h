/* metrics.h - mortise.metrics/1: numbers for the people who run the plugin
 *
 * The host adds plugin, installation and node to each series and keeps the
 * history. A series is one metric with one set of label values.
 */
#ifndef MORTISE_METRICS_H
#define MORTISE_METRICS_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MORTISE_METRICS_1 "mortise.metrics/1"

#define MORTISE_METRIC_COUNTER 0 /* record() adds; the value must not be negative */
#define MORTISE_METRIC_GAUGE   1 /* record() sets */

#define MORTISE_METRIC_LABELS_MAX 8    /* labels of one metric */
#define MORTISE_METRIC_SERIES_MAX 1000 /* series of one instance */

struct mortise_metric_1 {
	struct mortise_str name;          /* [a-z][a-z0-9_]*, at most 100 bytes: greetings_total */
	struct mortise_str help;          /* one sentence for people */
	const struct mortise_str *labels; /* names of the labels, same form as name */
	uint32_t label_count;
	int32_t kind; /* MORTISE_METRIC_ */
};

struct mortise_metrics_1 {
	/* [home] Make a metric known. The same definition again gives the same id;
	 * CONFLICT: the name is defined otherwise. UNSUPPORTED: unknown kind.
	 */
	int32_t (*define)(
		struct mortise_host *host, const struct mortise_metric_1 *metric, mortise_id *out);

	/* [any] Record a value for one series: values has as many texts as the metric
	 * has labels, in their order; NULL if it has none. Never blocks. LIMIT: a
	 * new series over MORTISE_METRIC_SERIES_MAX, dropped and counted. INVALID: wrong
	 * count, or a value that is not finite.
	 */
	int32_t (*record)(struct mortise_host *host, mortise_id metric,
		const struct mortise_str *values, uint32_t count, double value);
};

#ifdef __cplusplus
}
#endif

#endif
