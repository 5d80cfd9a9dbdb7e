/* SPDX-License-Identifier: GPL-2.0 */
#include "base/json.h"
#include "base/str.h"
#include "cmd/why.h"
#include "out/facts.h"

int why_sink_begin(struct why_sink *s)
{
	struct strbuf out = STRBUF_INIT;
	int err;

	if (s->common->output == OUT_CSV && s->common->header)
		facts_csv_header(&out);
	if (s->common->output == OUT_JSON)
		strbuf_puts(&out, "{\"refusals\":[");
	err = why_write(&out);
	strbuf_free(&out);
	return err;
}

int why_sink_put(struct why_sink *s, const struct why_refusal *r)
{
	struct strbuf out = STRBUF_INIT;
	int err;

	if (s->common->output == OUT_CSV)
		facts_csv(&out, &r->ev);
	else if (s->common->output == OUT_TABLE)
		why_refusal_text(&out, r, s->common->utc);
	else if (s->common->output == OUT_JSON && s->told)
		strbuf_putc(&out, ',');
	if (s->common->output == OUT_JSON || s->common->output == OUT_JSONL)
		why_refusal_json(&out, r);
	if (s->common->output == OUT_JSONL)
		strbuf_putc(&out, '\n');
	s->told++;
	s->unsure |= r->unsure;
	err = why_write(&out);
	strbuf_free(&out);
	return err;
}

int why_sink_end(struct why_sink *s, const char *status, const struct gap *gaps, size_t n_gaps)
{
	struct strbuf out = STRBUF_INIT;
	struct json j;
	int err;

	if (s->common->output != OUT_JSON)
		return 0;
	strbuf_puts(&out, "],\"gaps\":");
	json_init(&j, &out);
	json_array(&j);
	for (size_t i = 0; i < n_gaps; i++)
		facts_json_gap(&j, &gaps[i]);
	json_array_end(&j);
	strbuf_printf(&out, ",\"status\":\"%s\"}\n", status);
	err = why_write(&out);
	strbuf_free(&out);
	return err;
}
