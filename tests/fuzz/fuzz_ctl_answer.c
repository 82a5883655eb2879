/* What a server answers to reevectl: XML-RPC from a peer that nobody vouches for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/xmlrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *fault_text = NULL;
	json_t *value = NULL;
	int fault;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (xmlrpc_answer(text, &value, &fault, &fault_text) == 0) {
		json_decref(value);
		free(fault_text);
	}
	free(text);
	return 0;
}
