/* Makes fsync and fdatasync fail with EIO, to test what a store does after a sync that failed.
 * Loaded with LD_PRELOAD. FAILING_SYNC="after:count" lets the first `after` syncs pass and fails
 * the `count` next; only files whose path contains FAILING_SYNC_PATH count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int fd) {
    static long seen;
    long after = 0, count = 0;
    const char *plan = getenv("FAILING_SYNC"), *part = getenv("FAILING_SYNC_PATH");
    char link[64], path[4096];
    if (!plan || !part || sscanf(plan, "%ld:%ld", &after, &count) != 2) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, part)) return 0;
    long number = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    return number > after && number <= after + count;
}

static int sync_or_fail(const char *name, int fd) {
    if (fails(fd)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return sync_or_fail("fsync", fd); }
int fdatasync(int fd) { return sync_or_fail("fdatasync", fd); }
