/* The texts of the io.reeve.*.varlink files, embedded at build time. */
#ifndef REEVE_VARLINK_INTERFACES_H
#define REEVE_VARLINK_INTERFACES_H

extern const char varlink_io_reeve_supervisor[];
extern const char varlink_io_reeve_log[];
extern const char varlink_io_reeve_pool[];

#endif
