/* Loaded before the C library (LD_PRELOAD): fsync of files below a folder named "checkpoints" takes as many milliseconds
 * as the file SLOW_DISK names says, as on a disk that is overloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int fsync(int descriptor) {
  static int (*real)(int);
  if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  const char* const control = getenv("SLOW_DISK");
  if (length > 0 && control) {
    path[length] = 0;
    FILE* const file = strstr(path, "/checkpoints") ? fopen(control, "r") : NULL;
    long milliseconds = 0;
    if (file) {
      if (fscanf(file, "%ld", &milliseconds) != 1) milliseconds = 0;
      fclose(file);
    }
    const struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (milliseconds > 0) nanosleep(&pause, NULL);
  }
  return real(descriptor);
}
