/* The files of the web page, as the build embeds them (web/embed.py). */
#ifndef REEVE_GATEWAY_PAGE_H
#define REEVE_GATEWAY_PAGE_H

#include <stddef.h>

struct page_file {
	const char *name;		/* "app.js" */
	const char *type;
	const char *tag;		/* ETag, with its quotes */
	const char *data;
	size_t length;
};

extern const struct page_file page_files[];	/* ends with a NULL name */

#endif
