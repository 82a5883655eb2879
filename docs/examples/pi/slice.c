/* One slice of the sum of 1/(2k+1)^2: slice FIRST END prints the terms from FIRST up to, but not including, END. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	long first = argc == 3 ? atol(argv[1]) : 0, end = argc == 3 ? atol(argv[2]) : 0;
	double sum = 0;

	if (argc != 3) {
		(void)fprintf(stderr, "usage: slice FIRST END\n");
		return 2;
	}
	/* The small terms first: less is rounded away. */
	for (long k = end; k-- > first;)
		sum += 1 / ((2.0 * (double)k + 1) * (2.0 * (double)k + 1));
	(void)printf("%.17g\n", sum);
	return 0;
}
