/* A C library that fails on demand, in every process that loads it (LD_PRELOAD): what a full disk, a file system
 * without locks, a wrong clock or a system without threads do to a program.
 *
 * FAULT_FOLDER  what stands below is concerned
 * FAULT_COUNT   a file that gets a byte for each change of the disk
 * FAULT_FROM    from which change on all fail
 * FAULT_ERRNO   with what
 * FAULT_FLOCK   with what locks fail
 * FAULT_THREADS with what threads fail
 * FAULT_CLOCK   by how many seconds the clock is wrong; none: there is no clock
 * FAULT_GRAIN   file systems keep multiples of so many seconds
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int number(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

static int concerns(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

/* Whether this change of the disk is one that fails. */
static int fails(void) {
    const char *count = getenv("FAULT_COUNT");
    if (!count)
        return 0;
    int before = errno;
    int file = syscall(SYS_openat, AT_FDCWD, count, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    syscall(SYS_write, file, ".", 1);
    long done = syscall(SYS_lseek, file, 0, SEEK_CUR);
    syscall(SYS_close, file);
    errno = before;
    int from = number("FAULT_FROM");
    if (from && done >= from) {
        errno = number("FAULT_ERRNO");
        return 1;
    }
    return 0;
}

static int file_fails(int file) {
    char link[64], path[4096];
    struct stat found;
    if (!getenv("FAULT_COUNT") || fstat(file, &found) || !S_ISREG(found.st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return concerns(path) && fails();
}

ssize_t write(int file, const void *data, size_t size) {
    return file_fails(file) ? -1 : REAL(write)(file, data, size);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    return file_fails(file) ? -1 : REAL(pwrite64)(file, data, size, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    return file_fails(file) ? -1 : REAL(writev)(file, parts, count);
}

ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *at, size_t size, unsigned flags) {
    return file_fails(to) ? -1 : REAL(copy_file_range)(from, start, to, at, size, flags);
}

static int creates(const char *path, int flags) {
    return (flags & O_CREAT) && concerns(path) && fails();
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;                                      \
        va_end(more);                                                                                                  \
        return creates(path, flags) ? -1 : REAL(name)(path, flags, mode);                                              \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...) {                                                           \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;                                      \
        va_end(more);                                                                                                  \
        return creates(path, flags) ? -1 : REAL(name)(folder, path, flags, mode);                                      \
    }
OPENAT(openat)
OPENAT(openat64)

int mkdir(const char *path, mode_t mode) {
    return concerns(path) && fails() ? -1 : REAL(mkdir)(path, mode);
}

int flock(int file, int operation) {
    int error = number("FAULT_FLOCK");
    if (error && !(operation & LOCK_UN)) {
        errno = error;
        return -1;
    }
    return REAL(flock)(file, operation);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    int error = number("FAULT_THREADS");
    return error ? error : REAL(pthread_create)(thread, attributes, run, argument);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    const char *offset = getenv("FAULT_CLOCK");
    if (offset && !*offset) {
        errno = EINVAL;
        return -1;
    }
    int done = REAL(clock_gettime)(clock, now);
    if (offset && clock == CLOCK_REALTIME)
        now->tv_sec += atol(offset);
    return done;
}

/* Of a file's time, what a file system with a coarse clock would have kept. */
#define ROUND_DOWN(time)                                                                                               \
    do {                                                                                                               \
        int grain = number("FAULT_GRAIN");                                                                             \
        if (done == 0 && grain) {                                                                                      \
            (time).tv_sec -= (time).tv_sec % grain;                                                                    \
            (time).tv_nsec = 0;                                                                                        \
        }                                                                                                              \
    } while (0)

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found) {
    int done = REAL(statx)(folder, path, flags, mask, found);
    ROUND_DOWN(found->stx_mtime);
    ROUND_DOWN(found->stx_ctime);
    return done;
}

#define STAT(name, parameters, arguments)                                                                              \
    int name parameters {                                                                                              \
        int done = REAL(name) arguments;                                                                               \
        ROUND_DOWN(found->st_mtim);                                                                                    \
        ROUND_DOWN(found->st_ctim);                                                                                    \
        return done;                                                                                                   \
    }
#define STATS(stat, lstat, fstat, fstatat)                                                                             \
    STAT(stat, (const char *path, struct stat *found), (path, found))                                                  \
    STAT(lstat, (const char *path, struct stat *found), (path, found))                                                 \
    STAT(fstat, (int file, struct stat *found), (file, found))                                                         \
    STAT(fstatat, (int folder, const char *path, struct stat *found, int flags), (folder, path, found, flags))
STATS(stat, lstat, fstat, fstatat)
STATS(stat64, lstat64, fstat64, fstatat64)
