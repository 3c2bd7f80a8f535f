/* Reads the flat JSON object that `configure` gets. The host has validated it; what is not JSON all the same finds nothing. */
#include "micro.h"
#include <stdlib.h>
#include <string.h>

typedef struct cursor {
    const uint8_t *at;
    const uint8_t *end;
} cursor;

static void space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

static bool take(cursor *c, char expected) {
    space(c);
    if (c->at == c->end || *c->at != (uint8_t)expected) return false;
    c->at++;
    return true;
}

static bool hex4(cursor *c, uint32_t *value) {
    if (c->end - c->at < 4) return false;
    *value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t digit = *c->at++;
        uint8_t lower = digit | 0x20;
        if (digit >= '0' && digit <= '9') *value = *value << 4 | (uint32_t)(digit - '0');
        else if (lower >= 'a' && lower <= 'f') *value = *value << 4 | (uint32_t)(lower - 'a' + 10);
        else return false;
    }
    return true;
}

static void utf8(micro_buffer *out, uint32_t code) {
    uint8_t bytes[4];
    size_t length;
    if (code < 0x80) {
        bytes[0] = (uint8_t)code;
        length = 1;
    } else if (code < 0x800) {
        bytes[0] = (uint8_t)(0xc0 | code >> 6);
        bytes[1] = (uint8_t)(0x80 | (code & 0x3f));
        length = 2;
    } else if (code < 0x10000) {
        bytes[0] = (uint8_t)(0xe0 | code >> 12);
        bytes[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (code & 0x3f));
        length = 3;
    } else {
        bytes[0] = (uint8_t)(0xf0 | code >> 18);
        bytes[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        bytes[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        bytes[3] = (uint8_t)(0x80 | (code & 0x3f));
        length = 4;
    }
    micro_append(out, bytes, length);
}

static bool escape(cursor *c, micro_buffer *out) {
    if (c->at == c->end) return false;
    uint8_t letter = *c->at++;
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *known = letter ? strchr(from, letter) : NULL;
    if (known) {
        micro_append(out, &to[known - from], 1);
        return true;
    }
    if (letter != 'u') {
        micro_append(out, &letter, 1);
        return letter == '"' || letter == '\\' || letter == '/';
    }
    uint32_t code, low;
    if (!hex4(c, &code)) return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (c->end - c->at < 2 || c->at[0] != '\\' || c->at[1] != 'u') return false;
        c->at += 2;
        if (!hex4(c, &low) || low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    utf8(out, code);
    return true;
}

/* A string, with its end. */
static bool string(cursor *c, micro_buffer *out) {
    if (!take(c, '"')) return false;
    while (c->at < c->end) {
        uint8_t letter = *c->at++;
        if (letter == '"') {
            micro_append(out, "", 1);
            return true;
        }
        if (letter != '\\') micro_append(out, &letter, 1);
        else if (!escape(c, out)) return false;
    }
    return false;
}

/* Any value that is not asked for. */
static bool skip(cursor *c) {
    int depth = 0;
    do {
        space(c);
        if (c->at == c->end) return false;
        if (*c->at == '"') {
            micro_buffer unused = {0};
            bool ok = string(c, &unused);
            free(unused.data);
            if (!ok) return false;
        } else {
            uint8_t letter = *c->at++;
            if (letter == '[' || letter == '{') depth++;
            if (letter == ']' || letter == '}') depth--;
        }
        space(c);
    } while (c->at < c->end && (depth > 0 || (*c->at != ',' && *c->at != '}')));
    return depth == 0;
}

/* Goes to the value of a member. */
static bool find(cursor *c, const char *name) {
    if (!take(c, '{')) return false;
    for (;;) {
        micro_buffer key = {0};
        bool ok = string(c, &key) && take(c, ':');
        bool found = ok && strcmp(key.data, name) == 0;
        free(key.data);
        if (found || !ok) return found;
        if (!skip(c) || !take(c, ',')) return false;
    }
}

char *micro_option_text(component_string_t config_json, const char *name) {
    cursor c = {config_json.ptr, config_json.ptr + config_json.len};
    micro_buffer value = {0};
    if (find(&c, name) && string(&c, &value)) return value.data;
    free(value.data);
    return NULL;
}

bool micro_option_integer(component_string_t config_json, const char *name, int64_t *value) {
    cursor c = {config_json.ptr, config_json.ptr + config_json.len};
    if (!find(&c, name)) return false;
    space(&c);
    bool negative = take(&c, '-');
    if (c.at == c.end || *c.at < '0' || *c.at > '9') return false;
    int64_t number = 0;
    for (; c.at < c.end && *c.at >= '0' && *c.at <= '9'; c.at++) {
        if (__builtin_mul_overflow(number, 10, &number)) return false;
        if (__builtin_sub_overflow(number, *c.at - '0', &number)) return false;
    }
    if (c.at < c.end && (*c.at == '.' || *c.at == 'e' || *c.at == 'E')) return false;
    if (!negative && number == INT64_MIN) return false;
    *value = negative ? number : -number;
    return true;
}
