// The clock of one process, set by a file of one int64: nanoseconds that are added to the time of day.
// DRIFTLINE_CLOCK names the file. What measures how long something takes keeps its own time, and a wait
// until a time of day ends when this clock shows it, as both are where the clock of a machine is set.

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>

static int64_t shift() {
  static volatile const int64_t *where = [] {
    const char *path = std::getenv("DRIFTLINE_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(nullptr, 8, PROT_READ, MAP_SHARED, file, 0);
    return page == MAP_FAILED ? nullptr : static_cast<volatile const int64_t *>(page);
  }();
  return where ? *where : 0;
}

extern "C" int clock_gettime(clockid_t clock, struct timespec *out) noexcept {
  using Call = int (*)(clockid_t, struct timespec *);
  static Call real = reinterpret_cast<Call>(dlsym(RTLD_NEXT, "clock_gettime"));
  int code = real(clock, out);
  if (code == 0 && clock == CLOCK_REALTIME) {
    int64_t time = int64_t(out->tv_sec) * 1000000000 + out->tv_nsec + shift();
    out->tv_sec = time / 1000000000;
    out->tv_nsec = time % 1000000000;
  }
  return code;
}

extern "C" int gettimeofday(struct timeval *out, void *) noexcept {
  struct timespec now;
  int code = clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return code;
}

extern "C" time_t time(time_t *out) noexcept {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out)
    *out = now.tv_sec;
  return now.tv_sec;
}

static int64_t nanoseconds(const struct timespec &time) {
  return int64_t(time.tv_sec) * 1000000000 + time.tv_nsec;
}

// Wait in short turns until this clock shows `until`; `wait` takes a time by the machine's clock.
template <typename Wait>
static int patient(const struct timespec *until, int expired, Wait wait) {
  using Clock = int (*)(clockid_t, struct timespec *);
  static Clock clock = reinterpret_cast<Clock>(dlsym(RTLD_NEXT, "clock_gettime"));
  if (until->tv_sec < 1000000000)  // by the clock that is never set
    return wait(until);
  while (true) {
    struct timespec now;
    clock(CLOCK_REALTIME, &now);
    int64_t left = nanoseconds(*until) - nanoseconds(now) - shift();
    if (left <= 0)
      return expired;
    int64_t turn = nanoseconds(now) + (left < 20000000 ? left : 20000000);
    struct timespec soon = {time_t(turn / 1000000000), long(turn % 1000000000)};
    int code = wait(&soon);
    if (code != expired)
      return code;
  }
}

extern "C" int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                      const struct timespec *until) {
  using Call = int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  static Call real = reinterpret_cast<Call>(dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"));
  return patient(until, ETIMEDOUT, [=](const struct timespec *soon) { return real(condition, mutex, soon); });
}

extern "C" int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until) {
  using Call = int (*)(cnd_t *, mtx_t *, const struct timespec *);
  static Call real = reinterpret_cast<Call>(dlsym(RTLD_NEXT, "cnd_timedwait"));
  return patient(until, thrd_timedout, [=](const struct timespec *soon) { return real(condition, mutex, soon); });
}
