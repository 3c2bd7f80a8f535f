/* What plugins of Micro are written with in C, besides the functions of their contract: see generated/component.h for
 * those, and wit/ for what they are to do.
 *
 * Arguments belong to the function that gets them: free them with the function of their type. What a function answers
 * belongs to the host, and everything in it must come from malloc: micro_dup, micro_text, micro_list.
 */
#ifndef MICRO_H
#define MICRO_H

#include "component.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How much an operator should care about a line. */
enum micro_level { MICRO_TRACE, MICRO_DEBUG, MICRO_INFO, MICRO_WARN, MICRO_ERROR };

/* Queues a log line, as printf would write it, cut after 1023 bytes. Natively it goes to standard error. */
void micro_log(enum micro_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Memory that is there: a plugin that is out of memory ends, and the host starts another instance. */
void *micro_alloc(size_t size);
/* A list of so many zeroed elements. NULL for none. */
void *micro_list(size_t length, size_t size);

/* A copy of a text of C. */
component_string_t micro_text(const char *text);
/* A copy. */
component_string_t micro_dup(component_string_t text);
bool micro_same(component_string_t a, component_string_t b);
bool micro_is(component_string_t a, const char *b);

/* Bytes that grow. Free with free(buffer.data). */
typedef struct micro_buffer {
    char *data;
    size_t length;
    size_t capacity;
} micro_buffer;

void micro_append(micro_buffer *buffer, const void *data, size_t length);
void micro_append_text(micro_buffer *buffer, const char *text);

/* The value of a member of the object that `configure` gets, as a text of C to be freed; NULL if it is not there or not of
 * that type. Nested values are skipped. */
char *micro_option_text(component_string_t config_json, const char *name);
/* The same for whole numbers and durations in milliseconds: false if it is not there or is none. */
bool micro_option_integer(component_string_t config_json, const char *name, int64_t *value);

#endif
