/* @name@: lets through only requests that carry the key, and takes the key away before anybody else sees it.
 *
 * | option | is                           |
 * |--------|------------------------------|
 * | header | the field that the key is in |
 * | key    | the key                      |
 */
#include "micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *header;
static char *key;
/* The well-known names of fields by their id; 0 stands for names that are spelled out. */
static component_list_string_t names;

bool exports_micro_hot_lifecycle_configure(exports_micro_hot_lifecycle_context_t *context,
                                           component_string_t *config_json, component_string_t *err) {
    names.len = context->names.len;
    names.ptr = micro_list(names.len, sizeof *names.ptr);
    for (size_t i = 0; i < names.len; i++) names.ptr[i] = micro_dup(context->names.ptr[i]);
    exports_micro_hot_lifecycle_context_free(context);
    header = micro_option_text(*config_json, "header");
    key = micro_option_text(*config_json, "key");
    component_string_free(config_json);
    if (header && key && *key) return true;
    *err = micro_text("option key: an empty key would let everybody through");
    return false;
}

/* A packed head, as micro:wire/wire describes it: numbers are little-endian. */
typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
} reader;

static bool number(reader *reader, size_t *value) {
    if (reader->end - reader->at < 2) return false;
    *value = (size_t)reader->at[0] | (size_t)reader->at[1] << 8;
    reader->at += 2;
    return true;
}

static bool part(reader *reader, component_string_t *part) {
    if (!number(reader, &part->len) || (size_t)(reader->end - reader->at) < part->len) return false;
    part->ptr = (uint8_t *)reader->at;
    reader->at += part->len;
    return true;
}

static bool field(reader *reader, component_string_t *name, component_string_t *value) {
    size_t id;
    if (!number(reader, &id) || id >= (names.len ? names.len : 1)) return false;
    if (id) *name = names.ptr[id];
    else if (!part(reader, name)) return false;
    return part(reader, value);
}

static bool is_header(component_string_t name) {
    if (name.len != strlen(header)) return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t a = name.ptr[i], b = (uint8_t)header[i];
        if (a >= 'A' && a <= 'Z') a |= 0x20;
        if (b >= 'A' && b <= 'Z') b |= 0x20;
        if (a != b) return false;
    }
    return true;
}

/* In a time that does not depend on how much of the key is right. */
static bool is_key(component_string_t given) {
    size_t length = strlen(key);
    uint8_t differences = given.len != length;
    for (size_t i = 0; i < length; i++) differences |= (i < given.len ? given.ptr[i] : 0) ^ (uint8_t)key[i];
    return differences == 0;
}

/* Whether the head has the key, and only once. */
static bool knows(const component_list_u8_t *packed) {
    reader reader = {packed->ptr, packed->ptr + packed->len};
    component_string_t name, value;
    for (int i = 0; i < 3; i++) {
        if (!part(&reader, &value)) return false;
    }
    size_t given = 0;
    bool right = false;
    while (reader.at < reader.end) {
        if (!field(&reader, &name, &value)) return false;
        if (!is_header(name)) continue;
        given++;
        right = is_key(value);
    }
    return given == 1 && right;
}

static component_list_u8_t bytes(const char *text) {
    component_string_t copy = micro_text(text);
    return (component_list_u8_t){copy.ptr, copy.len};
}

void exports_micro_filter_filter_request(component_string_t *peer, component_list_u8_t *packed,
                                         exports_micro_filter_filter_verdict_t *ret) {
    memset(ret, 0, sizeof *ret);
    if (knows(packed)) {
        exports_micro_filter_filter_list_edit_t *edits = &ret->val.edit.request;
        ret->tag = EXPORTS_MICRO_FILTER_FILTER_VERDICT_EDIT;
        edits->ptr = micro_list(1, sizeof *edits->ptr);
        edits->len = 1;
        edits->ptr[0].operation = EXPORTS_MICRO_FILTER_FILTER_OPERATION_REMOVE;
        edits->ptr[0].name = micro_text(header);
    } else {
        exports_micro_filter_filter_response_t *response = &ret->val.respond;
        char text[256];
        snprintf(text, sizeof text, "the field %s must have the key\n", header);
        ret->tag = EXPORTS_MICRO_FILTER_FILTER_VERDICT_RESPOND;
        response->status = 401;
        response->fields.ptr = micro_list(1, sizeof *response->fields.ptr);
        response->fields.len = 1;
        response->fields.ptr[0].f0 = micro_text("Content-Type");
        response->fields.ptr[0].f1 = bytes("text/plain");
        response->body = bytes(text);
    }
    component_string_free(peer);
    component_list_u8_free(packed);
}
