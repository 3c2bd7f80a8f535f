/* @name@: JSON behind lines that say whose call it is, as application/x-lines.
 *
 * The first line is always the same. Id (any bytes), endpoint and error (UTF-8; no error in requests) have a line each,
 * then comes the value:
 *
 *     lines/1
 *     17
 *     Say.Hello
 *
 *     {"name": "John"}
 *
 * What does not fit into these lines is unsupported, and what does not look like this is malformed: a call arrives as
 * it was made, or not at all.
 */
#include "micro.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_LINE "lines/1\n"

bool exports_micro_hot_lifecycle_configure(exports_micro_hot_lifecycle_context_t *context,
                                           component_string_t *config_json, component_string_t *err) {
    exports_micro_hot_lifecycle_context_free(context);
    component_string_free(config_json);
    return true;
}

void exports_micro_codec_codec_formats(exports_micro_codec_codec_list_format_t *ret) {
    ret->len = 1;
    ret->ptr = micro_list(1, sizeof *ret->ptr);
    ret->ptr[0].content_type = micro_text("application/x-lines");
    ret->ptr[0].value = micro_text("application/json");
}

static bool has_newline(const uint8_t *data, size_t length) { return length && memchr(data, '\n', length); }

bool exports_micro_codec_codec_seal(uint32_t format, exports_micro_codec_codec_role_t role,
                                    exports_micro_codec_codec_head_t *head, uint32_t value_length,
                                    exports_micro_codec_codec_enclosure_t *ret, exports_micro_codec_codec_error_t *err) {
    bool ok = !has_newline(head->id.ptr, head->id.len) && !has_newline(head->endpoint.ptr, head->endpoint.len) &&
              !has_newline(head->error.ptr, head->error.len) &&
              (role == EXPORTS_MICRO_CODEC_CODEC_ROLE_RESPONSE || head->error.len == 0);
    if (ok) {
        micro_buffer prefix = {0};
        micro_append_text(&prefix, FIRST_LINE);
        micro_append(&prefix, head->id.ptr, head->id.len);
        micro_append_text(&prefix, "\n");
        micro_append(&prefix, head->endpoint.ptr, head->endpoint.len);
        micro_append_text(&prefix, "\n");
        micro_append(&prefix, head->error.ptr, head->error.len);
        micro_append_text(&prefix, "\n");
        memset(ret, 0, sizeof *ret);
        ret->prefix.ptr = (uint8_t *)prefix.data;
        ret->prefix.len = prefix.length;
    } else {
        *err = EXPORTS_MICRO_CODEC_CODEC_ERROR_UNSUPPORTED;
    }
    exports_micro_codec_codec_head_free(head);
    return ok;
}

/* Whether bytes are UTF-8 (RFC 3629). */
static bool is_text(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length;) {
        uint8_t first = data[i++];
        if (first < 0x80) continue;
        size_t more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
        if (more == 0 || length - i < more) return false;
        uint8_t second = data[i];
        bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
        bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
        if (overlong || beyond) return false;
        for (; more > 0; more--) {
            if ((data[i++] & 0xc0) != 0x80) return false;
        }
    }
    return true;
}

bool exports_micro_codec_codec_open(uint32_t format, exports_micro_codec_codec_role_t role, component_list_u8_t *data,
                                    exports_micro_codec_codec_opened_t *ret, exports_micro_codec_codec_error_t *err) {
    exports_micro_codec_codec_range_t lines[3];
    size_t start = strlen(FIRST_LINE);
    bool ok = data->len >= start && memcmp(data->ptr, FIRST_LINE, start) == 0;
    for (size_t i = 0; ok && i < 3; i++) {
        const uint8_t *stop = start < data->len ? memchr(data->ptr + start, '\n', data->len - start) : NULL;
        size_t length = stop ? (size_t)(stop - data->ptr) - start : 0;
        ok = stop && (i == 0 || is_text(data->ptr + start, length));
        lines[i] = (exports_micro_codec_codec_range_t){(uint32_t)start, (uint32_t)length};
        start += length + 1;
    }
    ok = ok && (role == EXPORTS_MICRO_CODEC_CODEC_ROLE_RESPONSE || lines[2].length == 0);
    if (ok) {
        memset(ret, 0, sizeof *ret);
        ret->id = lines[0];
        ret->endpoint = lines[1];
        ret->error = lines[2];
        ret->value = (exports_micro_codec_codec_range_t){(uint32_t)start, (uint32_t)(data->len - start)};
    } else {
        *err = EXPORTS_MICRO_CODEC_CODEC_ERROR_MALFORMED;
    }
    component_list_u8_free(data);
    return ok;
}
