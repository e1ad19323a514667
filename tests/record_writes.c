/* Writes down, in order, what a process does to files below $RECORD_BELOW: one line each in $RECORD_TO.
   Loaded by LD_PRELOAD, it sees the calls of Python, SQLite and Arrow alike. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void note(const char *what, const char *path, const char *to) {
    const char *below = getenv("RECORD_BELOW"), *log = getenv("RECORD_TO");
    char line[9000];
    if (!below || !log || !path || strncmp(path, below, strlen(below))) return;
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, to ? to : "");
    int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0) return;
    syscall(SYS_write, file, line, (size_t)length);
    syscall(SYS_close, file);
}

static void note_open(const char *what, int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    note(what, path, NULL);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write);
    note_open("write", file);
    return real(file, bytes, count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    note_open("write", file);
    return real(file, parts, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    REAL(pwrite64);
    note_open("write", file);
    return real(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    REAL(pwrite);
    note_open("write", file);
    return real(file, bytes, count, at);
}

int fsync(int file) {
    REAL(fsync);
    int failed = real(file);
    if (!failed) note_open("sync", file);
    return failed;
}

int fdatasync(int file) {
    REAL(fdatasync);
    int failed = real(file);
    if (!failed) note_open("sync", file);
    return failed;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    int failed = real(from, to);
    if (!failed) note("rename", from, to);
    return failed;
}

int unlink(const char *path) {
    REAL(unlink);
    int failed = real(path);
    if (!failed) note("unlink", path, NULL);
    return failed;
}
