/* See web.h: the page's own files, from memory. */
#include "page.h"

#include <string.h>

#include "web.h"

/* Everything comes from here, nothing is inline, nobody frames us. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
			     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void page_headers(struct request *r)
{
	http_add_header(r, "X-Content-Type-Options", "nosniff");
	http_add_header(r, "Referrer-Policy", "no-referrer");
	http_add_header(r, "Content-Security-Policy", policy);
}

static const struct page_file *find(const char *path)
{
	const char *name = strncmp(path, "/web/", 5) == 0 ? path + 5 : "index.html";

	for (const struct page_file *f = page_files; f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

void page_file(struct request *r)
{
	const struct page_file *file = find(r->path);
	const char *known = http_header(r, "If-None-Match");

	if (!file) {
		http_answer_error(r, 404, NULL);
		return;
	}
	if (strncmp(r->path, "/web/", 5) != 0 && classic_refuse(r, file->data, file->length))
		return;
	page_headers(r);
	http_add_header(r, "Cache-Control", "no-cache");	/* kept, but asked about: another version may run by now */
	http_add_header(r, "ETag", file->tag);
	if (known && strcmp(known, file->tag) == 0)
		http_answer_static(r, 304, file->type, "", 0);
	else
		http_answer_static(r, 200, file->type, file->data, file->length);
}
