#include "micro.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest log line, with its end. */
#define LINE 1024

/* The bindings want to be linked with an object that has the contract in it. There is none: `micro plugin build` writes the
 * contract into the module itself. */
void __component_type_object_force_link_component(void);
void __component_type_object_force_link_component(void) {}

/* Kinds whose calls may wait and those that run per request have logs of their own, with the same levels. */
#if defined(__wasm__) && defined(MICRO_PLUGIN_LOG_LEVEL_TRACE)
static void micro_log_line(enum micro_level level, const char *line, size_t length) {
    component_string_t text = {(uint8_t *)line, length};
    component_list_tuple2_string_string_t fields = {NULL, 0};
    micro_plugin_log_write((micro_plugin_log_level_t)level, &text, &fields);
}
#elif defined(__wasm__)
static void micro_log_line(enum micro_level level, const char *line, size_t length) {
    component_string_t text = {(uint8_t *)line, length};
    component_list_tuple2_string_string_t fields = {NULL, 0};
    micro_hot_log_write((micro_hot_log_level_t)level, &text, &fields);
}
#else
static void micro_log_line(enum micro_level level, const char *line, size_t length) {
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR"};
    fprintf(stderr, "%s %.*s\n", names[level], (int)length, line);
}
#endif

void micro_log(enum micro_level level, const char *format, ...) {
    char line[LINE];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    micro_log_line(level, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

void *micro_alloc(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) abort();
    return memory;
}

void *micro_list(size_t length, size_t size) {
    if (length == 0) return NULL;
    void *memory = calloc(length, size);
    if (!memory) abort();
    return memory;
}

component_string_t micro_dup(component_string_t text) {
    component_string_t copy = {NULL, text.len};
    if (text.len) {
        copy.ptr = micro_alloc(text.len);
        memcpy(copy.ptr, text.ptr, text.len);
    }
    return copy;
}

component_string_t micro_text(const char *text) {
    component_string_t borrowed = {(uint8_t *)text, strlen(text)};
    return micro_dup(borrowed);
}

bool micro_same(component_string_t a, component_string_t b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool micro_is(component_string_t a, const char *b) {
    return a.len == strlen(b) && (a.len == 0 || memcmp(a.ptr, b, a.len) == 0);
}

void micro_append(micro_buffer *buffer, const void *data, size_t length) {
    if (length == 0) return;
    if (buffer->capacity - buffer->length < length) {
        size_t capacity = buffer->capacity ? buffer->capacity : 256;
        while (capacity - buffer->length < length) {
            if (capacity > SIZE_MAX / 2) abort();
            capacity *= 2;
        }
        char *grown = realloc(buffer->data, capacity);
        if (!grown) abort();
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

void micro_append_text(micro_buffer *buffer, const char *text) { micro_append(buffer, text, strlen(text)); }
