/*
 * System calls without libc, for code that runs in a child which still shares its parent's memory: they touch neither
 * errno (thread-local data of the parent, which runs on at the same time) nor any lock.
 * Each returns the result or -errno.
 */
#ifndef REEVE_PROCESS_RAW_H
#define REEVE_PROCESS_RAW_H

#include <stdint.h>

#if defined(__x86_64__)
#define RAW_SYSCALLS 1
static inline __attribute__((always_inline)) long raw_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
#define RAW_SYSCALLS 1
static inline __attribute__((always_inline)) long raw_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
#else
/* Elsewhere the parent is suspended until the exec (see spawn.c), and libc's wrapper is safe enough. */
#define RAW_SYSCALLS 0
#include <errno.h>
#include <unistd.h>
static inline long raw_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	long ret = syscall(n, a, b, c, d, e, f);

	return ret == -1 ? -errno : ret;
}
#endif

#define RAW_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define RAW(...) RAW_PICK(__VA_ARGS__, RAW6, RAW5, RAW4, RAW3, RAW2, RAW1, RAW0)(__VA_ARGS__)
#define RAW0(n) raw_syscall6(n, 0, 0, 0, 0, 0, 0)
#define RAW1(n, a) raw_syscall6(n, (long)(a), 0, 0, 0, 0, 0)
#define RAW2(n, a, b) raw_syscall6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define RAW3(n, a, b, c) raw_syscall6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define RAW4(n, a, b, c, d) raw_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define RAW5(n, a, b, c, d, e) raw_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define RAW6(n, a, b, c, d, e, f) raw_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

#endif
