/* reeve-logger: reads every log pipe, writes and rotates every log file. Started by reeved with its descriptors in
 * place. */
#include <stdio.h>
#include <string.h>

#include "logger.h"

int main(int argc, char **argv)
{
	if (argc > 1) {
		(void)fprintf(strcmp(argv[1], "--version") == 0 ? stdout : stderr, "reeve-logger %s (part of reeved)\n",
			      REEVE_VERSION);
		return strcmp(argv[1], "--version") == 0 ? 0 : 2;
	}
	return logger_run();
}
