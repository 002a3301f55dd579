/* Simulates the disk of one directory, inside a program that is started with this library in
 * LD_PRELOAD. It injects faults, and stores what was synced, so that a test can restore what
 * survives a power loss. It does not affect other directories, standard output and standard error.
 *
 *   DISK_DIRECTORY   the directory, an absolute path without symbolic links
 *   DISK_STATE       a directory outside of it. A file in it enables a fault while it exists:
 *                      full           writes and new files fail with ENOSPC
 *                      read-only      writes and opening for writing fail with EROFS
 *                      sync-fails     fsync and fdatasync fail with EIO
 *                      swallow-syncs  fsync and fdatasync succeed but do nothing
 *                      slow-syncs     fsync and fdatasync take 20 ms longer
 *                    The library writes to it:
 *                      failures       one byte for each injected failure
 *                      N              the content of the file with inode number N when it was last
 *                                     synced; empty before that
 *                      entries        "N name" for each file of the directory when it was last
 *                                     synced
 *   DISK_OPERATIONS  a number; the program is killed instead of making more disk changes
 *
 * Syncs do not reach the real disk. At the first start, while there is no file named entries,
 * everything in the directory counts as synced.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char disk_directory[PATH_MAX];
static char state[PATH_MAX];
static atomic_long operations = LONG_MAX;
static pthread_mutex_t syncing = PTHREAD_MUTEX_INITIALIZER;

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        abort();
    }
}

static int is_on(const char *fault)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", state, fault);
    return *state && access(path, F_OK) == 0;
}

static int fail(int error)
{
    char path[PATH_MAX + 32];
    int failures;
    snprintf(path, sizeof path, "%s/failures", state);
    failures = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    must(failures >= 0 && write(failures, "x", 1) == 1, "failures");
    close(failures);
    errno = error;
    return -1;
}

/* Returns whether a path from the kernel is on the simulated disk. */
static int is_within(const char *path)
{
    size_t length = strlen(disk_directory);
    return length && strncmp(path, disk_directory, length) == 0 &&
           (path[length] == '/' || path[length] == 0);
}

static int on_disk(int fd)
{
    char link[32], path[PATH_MAX];
    ssize_t length;
    if (fd <= STDERR_FILENO)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_within(path);
}

/* Returns whether a path names a file on the simulated disk, which may not exist yet. */
static int names_file_on_disk(const char *path)
{
    char parent[PATH_MAX], resolved[PATH_MAX];
    char *slash;
    if (!*disk_directory || strlen(path) >= sizeof parent)
        return 0;
    strcpy(parent, path);
    slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = 0;
    return realpath(slash ? parent : ".", resolved) && is_within(resolved);
}

/* Counts a disk change, and kills the program at the limit. */
static void count_operation(void)
{
    if (atomic_fetch_sub(&operations, 1) == 0) {
        kill(getpid(), SIGKILL);
        pause();
    }
}

static int may_change(void)
{
    count_operation();
    if (is_on("full"))
        return fail(ENOSPC);
    return is_on("read-only") ? fail(EROFS) : 0;
}

/* Keeps an inode open, because the kernel may reuse the number of a deleted one. Closing an O_PATH
 * descriptor drops no locks. */
static void keep_inode(int directory, const char *name, ino_t inode)
{
    static ino_t kept[4096];
    static size_t count;
    for (size_t i = 0; i < count; i++)
        if (kept[i] == inode)
            return;
    must(count < 4096 && openat(directory, name, O_PATH) >= 0, "keep_inode");
    kept[count++] = inode;
}

static int create_in_state(const char *name, mode_t mode)
{
    char path[PATH_MAX + 32];
    int file;
    snprintf(path, sizeof path, "%s/%s", state, name);
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    must(file >= 0 && fchmod(file, mode & 0777) == 0, path);
    return file;
}

static void publish(int file, const char *name)
{
    char from[PATH_MAX + 32], to[PATH_MAX + 32];
    must(close(file) == 0, "close");
    snprintf(from, sizeof from, "%s/new", state);
    snprintf(to, sizeof to, "%s/%s", state, name);
    must(REAL(rename)(from, to) == 0, to);
}

static void sync_file(int fd, const struct stat *status)
{
    char link[32], name[32];
    off_t at = 0;
    int from = fd, to = create_in_state("new", status->st_mode);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    keep_inode(AT_FDCWD, link, status->st_ino);
    /* Closing any descriptor of a file drops the program's locks on it. SQLite opens the files that
     * it locks for reading, so this does not open them again. */
    if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
        from = open(link, O_RDONLY);
    while (at < status->st_size) {
        ssize_t sent = sendfile(to, from, &at, status->st_size - at);
        must(sent >= 0, "sendfile");
        if (sent == 0)
            break;
    }
    if (from != fd)
        close(from);
    snprintf(name, sizeof name, "%lu", (unsigned long)status->st_ino);
    publish(to, name);
}

static void sync_directory(void)
{
    DIR *directory = opendir(disk_directory);
    int entries = create_in_state("new", 0600);
    struct dirent *entry;
    must(directory != NULL, disk_directory);
    while ((entry = readdir(directory))) {
        char name[32];
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        keep_inode(dirfd(directory), entry->d_name, status.st_ino);
        snprintf(name, sizeof name, "%lu", (unsigned long)status.st_ino);
        if (!is_on(name))
            close(create_in_state(name, status.st_mode));
        dprintf(entries, "%s %s\n", name, entry->d_name);
    }
    closedir(directory);
    publish(entries, "entries");
}

static int sync_fd(int fd)
{
    struct stat status;
    count_operation();
    if (is_on("sync-fails"))
        return fail(EIO);
    if (is_on("swallow-syncs"))
        return 0;
    if (is_on("slow-syncs"))
        usleep(20000);
    must(fstat(fd, &status) == 0, "fstat");
    pthread_mutex_lock(&syncing);
    if (S_ISDIR(status.st_mode))
        sync_directory();
    else
        sync_file(fd, &status);
    pthread_mutex_unlock(&syncing);
    return 0;
}

__attribute__((constructor)) static void start(void)
{
    const char *limit = getenv("DISK_OPERATIONS");
    DIR *directory;
    struct dirent *entry;
    must(getenv("DISK_DIRECTORY") && getenv("DISK_STATE"), "DISK_DIRECTORY and DISK_STATE");
    strncpy(state, getenv("DISK_STATE"), sizeof state - 1);
    directory = is_on("entries") ? NULL : opendir(getenv("DISK_DIRECTORY"));
    while (directory && (entry = readdir(directory))) {
        struct stat status;
        int file = openat(dirfd(directory), entry->d_name, O_RDONLY | O_NOFOLLOW);
        if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode))
            sync_file(file, &status);
        close(file);
    }
    strncpy(disk_directory, getenv("DISK_DIRECTORY"), sizeof disk_directory - 1);
    if (directory) {
        closedir(directory);
        sync_directory();
    }
    if (limit)
        operations = atol(limit);
}

/* The functions below replace those of the C library that change files. */

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (on_disk(fd) && may_change() != 0)
        return -1;
    return REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (on_disk(fd) && may_change() != 0)
        return -1;
    return REAL(writev)(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at)
{
    if (on_disk(fd) && may_change() != 0)
        return -1;
    return REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
    if (on_disk(fd) && may_change() != 0)
        return -1;
    return REAL(pwrite64)(fd, bytes, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t length)
{
    if (on_disk(fd) && may_change() != 0)
        return -1;
    return REAL(fallocate)(fd, mode, at, length);
}

int posix_fallocate(int fd, off_t at, off_t length)
{
    if (on_disk(fd) && may_change() != 0)
        return errno;
    return REAL(posix_fallocate)(fd, at, length);
}

int ftruncate64(int fd, off64_t length)
{
    struct stat status;
    if (on_disk(fd)) {
        count_operation();
        if (is_on("read-only"))
            return fail(EROFS);
        if (is_on("full") && fstat(fd, &status) == 0 && length > status.st_size)
            return fail(ENOSPC);
    }
    return REAL(ftruncate64)(fd, length);
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int fsync(int fd)
{
    return on_disk(fd) ? sync_fd(fd) : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    return on_disk(fd) ? sync_fd(fd) : REAL(fdatasync)(fd);
}

static int may_open(const char *path, int flags)
{
    int exists;
    if ((flags & (O_ACCMODE | O_CREAT)) == O_RDONLY || !names_file_on_disk(path))
        return 0;
    exists = access(path, F_OK) == 0;
    if (!exists && !(flags & O_CREAT))
        return 0;
    if (!exists)
        count_operation();
    if (is_on("read-only"))
        return fail(EROFS);
    return !exists && is_on("full") ? fail(ENOSPC) : 0;
}

static mode_t mode_of(int flags, va_list arguments)
{
    int has_mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return has_mode ? va_arg(arguments, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;
    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return may_open(path, flags) != 0 ? -1 : REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;
    va_start(arguments, flags);
    mode = mode_of(flags, arguments);
    va_end(arguments);
    return open64(path, flags, mode);
}

static int may_change_entry(const char *path)
{
    if (!names_file_on_disk(path))
        return 0;
    count_operation();
    return is_on("read-only") ? fail(EROFS) : 0;
}

int unlink(const char *path)
{
    return may_change_entry(path) != 0 ? -1 : REAL(unlink)(path);
}

int rename(const char *from, const char *to)
{
    return may_change_entry(to) != 0 ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to)
{
    return may_change_entry(to) != 0 ? -1 : REAL(link)(from, to);
}
