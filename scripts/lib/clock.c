// A clock that runs SHIFT seconds ahead, for the programs that this library is preloaded into.
//
// What a program reads from the clock is later by SHIFT, and so are the times of files that it is shown; what it writes into a
// file's times is earlier by as much. A file made now is therefore as old as it is, and one that a test sets back 40 days is 40 days
// old. libfaketime 0.9.10 knows neither statx(2) nor fstat64, which are what Rust asks for a file's times, so every file just made
// would be as old as the shift, and it rewrites timeouts. This leaves them alone: they count on the monotonic clock, which is not shifted.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

// The C library's own function.
#define REAL(name)                                                                  \
    ({                                                                              \
        static __typeof__(&name) real;                                              \
        if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);               \
        real;                                                                       \
    })

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = REAL(clock_gettime)(clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)) now->tv_sec += SHIFT;
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int status = REAL(gettimeofday)(now, zone);
    if (status == 0) now->tv_sec += SHIFT;
    return status;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    int status = REAL(timespec_get)(now, base);
    if (status == TIME_UTC) now->tv_sec += SHIFT;
    return status;
}

#define SHOWN(name, parameters, arguments)                                          \
    int name parameters {                                                           \
        int status = REAL(name) arguments;                                          \
        if (status == 0) {                                                          \
            data->st_atim.tv_sec += SHIFT;                                          \
            data->st_mtim.tv_sec += SHIFT;                                          \
            data->st_ctim.tv_sec += SHIFT;                                          \
        }                                                                           \
        return status;                                                              \
    }
SHOWN(stat, (const char *restrict path, struct stat *restrict data), (path, data))
SHOWN(stat64, (const char *restrict path, struct stat64 *restrict data), (path, data))
SHOWN(lstat, (const char *restrict path, struct stat *restrict data), (path, data))
SHOWN(lstat64, (const char *restrict path, struct stat64 *restrict data), (path, data))
SHOWN(fstat, (int file, struct stat *data), (file, data))
SHOWN(fstat64, (int file, struct stat64 *data), (file, data))
SHOWN(fstatat, (int folder, const char *restrict path, struct stat *restrict data, int flags), (folder, path, data, flags))
SHOWN(fstatat64, (int folder, const char *restrict path, struct stat64 *restrict data, int flags), (folder, path, data, flags))

int statx(int folder, const char *restrict path, int flags, unsigned mask, struct statx *restrict data) {
    int status = REAL(statx)(folder, path, flags, mask, data);
    if (status == 0) {
        data->stx_atime.tv_sec += SHIFT;
        data->stx_btime.tv_sec += SHIFT;
        data->stx_ctime.tv_sec += SHIFT;
        data->stx_mtime.tv_sec += SHIFT;
    }
    return status;
}

// UTIME_NOW and UTIME_OMIT stand in place of the nanoseconds.
static void unshift(struct timespec *real, const struct timespec *times) {
    for (int i = 0; i < 2; i++) {
        real[i] = times[i];
        if (real[i].tv_nsec != UTIME_NOW && real[i].tv_nsec != UTIME_OMIT) real[i].tv_sec -= SHIFT;
    }
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    struct timespec real[2];
    if (times) unshift(real, times);
    return REAL(utimensat)(folder, path, times ? real : NULL, flags);
}

int futimens(int file, const struct timespec times[2]) {
    struct timespec real[2];
    if (times) unshift(real, times);
    return REAL(futimens)(file, times ? real : NULL);
}

int utimes(const char *path, const struct timeval times[2]) {
    struct timeval real[2];
    for (int i = 0; times && i < 2; i++) real[i] = (struct timeval){times[i].tv_sec - SHIFT, times[i].tv_usec};
    return REAL(utimes)(path, times ? real : NULL);
}
