/* Writes one line for each call to the file that $STUB_TRACE names. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(const char *format, ...) {
    static FILE *file;
    static int asked;
    if (!asked) {
        const char *path = getenv("STUB_TRACE");
        asked = 1;
        file = path ? fopen(path, "a") : NULL; /* appended to, by all libraries and by Python */
    }
    if (!file) return;
    char line[4096];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line - 1, format, values);
    va_end(values);
    strcat(line, "\n");
    fputs(line, file);
    fflush(file);
}

/* A number from the environment. */
static int setting(const char *name, int otherwise) {
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}
