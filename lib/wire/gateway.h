/*
 * The private conversation of supervisor and gateway: a SOCK_SEQPACKET pair, one JSON object per packet, at most one descriptor beside
 * it (SCM_RIGHTS). The supervisor's end is stored with the keeper, so that a successor goes on with the gateway that runs.
 *
 * Supervisor to gateway ("op"):
 *   settings servers:[{section, username?, password?}]   one per listening socket, in order; the first message. Only here do passwords
 *                                                        travel, never in arguments or environment. + descriptor: memory for what
 *                                                        the next gateway is to go on with (a memfd of GATEWAY_CURVES_SIZE that cannot
 *                                                        change its size), stored with the keeper as "curves"; without it the gateway
 *                                                        has its own
 *   supervisor    + descriptor: a connected socket that speaks io.reeve.Supervisor
 *   log           + descriptor: one that speaks io.reeve.Log
 *   pool:NAME     + descriptor: one that speaks io.reeve.Pool
 *
 * Gateway to supervisor ("event"):
 *   want    what: "supervisor", "log" or "pool:NAME": a connection, please; asked again after a while
 *   log     level, text                      a line for the daemon's own log
 *
 * Descriptors at exec: 0 the gateway's end of the pair, 1 and 2 as the daemon's, and from 3 on the listening sockets as sd_listen_fds(3)
 * has it (LISTEN_FDS, LISTEN_PID), then the binary itself, to be closed. The end of the channel means: finish what has begun, and go.
 */
#ifndef REEVE_WIRE_GATEWAY_H
#define REEVE_WIRE_GATEWAY_H

enum {
	GATEWAY_FD_CHANNEL = 0,
	GATEWAY_FD_LISTEN = 3,
	GATEWAY_PACKET_MAX = 64 << 10,	/* bytes of one packet */
	GATEWAY_LISTEN_MAX = 64,	/* listening sockets */
	GATEWAY_CURVES_SIZE = 10 << 20,	/* bytes; only those in use take memory */
};

#endif
