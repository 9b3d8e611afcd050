/* Fails or kills at the Nth call that changes a file: for tests, by LD_PRELOAD.
 *
 * FAULT_AT=N        the call that is hit, counted from 1 over all kinds together
 * FAULT_KIND=kill   the process dies before the call
 *            torn   a write writes half of its bytes, and the process dies
 *            EIO, ENOSPC   this call and all later ones fail with it
 *            slow   this call and all later ones take 20 ms more
 * FAULT_COUNT=FILE  at exit, how many calls there were
 *
 * Standard output and error aren't counted. One thread at a time makes calls in the tests that use this.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long at = -1, calls;
static const char *kind;

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* 0: go on; 1: write half and die; -1: fail with errno. */
static int fault(void)
{
    if (at == -1) {
        const char *text = getenv("FAULT_AT");
        at = text ? atol(text) : 0;
        kind = getenv("FAULT_KIND");
        if (!kind)
            kind = "";
    }
    calls++;
    if (at == 0 || calls < at)
        return 0;
    if (!strcmp(kind, "EIO") || !strcmp(kind, "ENOSPC")) {
        errno = kind[1] == 'I' ? EIO : ENOSPC;
        return -1;
    }
    if (!strcmp(kind, "slow")) {
        usleep(20000);
        return 0;
    }
    if (calls != at)
        return 0;
    if (!strcmp(kind, "torn"))
        return 1;
    die();
    return 0;
}

ssize_t write(int file, const void *bytes, size_t count)
{
    ssize_t (*next)(int, const void *, size_t) = real("write");
    if (file <= 2)
        return next(file, bytes, count);
    switch (fault()) {
    case -1:
        return -1;
    case 1:
        next(file, bytes, count / 2);
        die();
    }
    return next(file, bytes, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) = real("pwrite64");
    switch (fault()) {
    case -1:
        return -1;
    case 1:
        next(file, bytes, count / 2, offset);
        die();
    }
    return next(file, bytes, count, offset);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    return pwrite64(file, bytes, count, offset);
}

#define FAILS(result, name, parameters, arguments)                                                                     \
    result name parameters                                                                                             \
    {                                                                                                                  \
        result(*next) parameters = real(#name);                                                                        \
        switch (fault()) {                                                                                             \
        case -1:                                                                                                       \
            return -1;                                                                                                 \
        case 1:                                                                                                        \
            die();                                                                                                     \
        }                                                                                                              \
        return next arguments;                                                                                         \
    }

FAILS(int, fsync, (int file), (file))
FAILS(int, fdatasync, (int file), (file))
FAILS(int, ftruncate, (int file, off_t length), (file, length))
FAILS(int, ftruncate64, (int file, off64_t length), (file, length))
FAILS(int, rename, (const char *from, const char *to), (from, to))
FAILS(int, unlink, (const char *path), (path))
FAILS(int, posix_fallocate, (int file, off_t offset, off_t length), (file, offset, length))
FAILS(int, fallocate, (int file, int mode, off_t offset, off_t length), (file, mode, offset, length))

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("FAULT_COUNT");
    if (!path)
        return;
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "%ld\n", calls);
        fclose(file);
    }
}
