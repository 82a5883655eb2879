/*
 * The results of commands. supervisord's fault numbers are the common language: the control socket carries the number
 * and the text, XML-RPC the same two, and reevectl turns the number into supervisorctl's words.
 * Source: the fault table of supervisord's XML-RPC interface.
 */
#ifndef REEVE_WIRE_FAULTS_H
#define REEVE_WIRE_FAULTS_H

#define FAULTS(X)                                                                                                      \
	X(UNKNOWN_METHOD, 1)                                                                                           \
	X(INCORRECT_PARAMETERS, 2)                                                                                     \
	X(BAD_ARGUMENTS, 3)                                                                                            \
	X(SIGNATURE_UNSUPPORTED, 4)                                                                                    \
	X(SHUTDOWN_STATE, 6)                                                                                           \
	X(BAD_NAME, 10)                                                                                                \
	X(BAD_SIGNAL, 11)                                                                                              \
	X(NO_FILE, 20)                                                                                                 \
	X(NOT_EXECUTABLE, 21)                                                                                          \
	X(FAILED, 30)                                                                                                  \
	X(ABNORMAL_TERMINATION, 40)                                                                                    \
	X(SPAWN_ERROR, 50)                                                                                             \
	X(ALREADY_STARTED, 60)                                                                                         \
	X(NOT_RUNNING, 70)                                                                                             \
	X(SUCCESS, 80)                                                                                                 \
	X(ALREADY_ADDED, 90)                                                                                           \
	X(STILL_RUNNING, 91)                                                                                           \
	X(CANT_REREAD, 92)

#define X(name, number) FAULT_##name = number,
enum fault { FAULTS(X) };
#undef X

#endif
