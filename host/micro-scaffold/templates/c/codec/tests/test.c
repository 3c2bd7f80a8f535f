#include "micro.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static component_list_u8_t bytes(const char *text) {
    component_string_t copy = micro_text(text);
    return (component_list_u8_t){copy.ptr, copy.len};
}

#define REQUEST EXPORTS_MICRO_CODEC_CODEC_ROLE_REQUEST
#define RESPONSE EXPORTS_MICRO_CODEC_CODEC_ROLE_RESPONSE

static exports_micro_codec_codec_error_t err;

static bool seal(exports_micro_codec_codec_role_t role, const char *id, const char *endpoint, const char *error,
                 exports_micro_codec_codec_enclosure_t *sealed) {
    exports_micro_codec_codec_head_t head = {bytes(id), micro_text(endpoint), micro_text(error)};
    return exports_micro_codec_codec_seal(0, role, &head, 0, sealed, &err);
}

static bool open(exports_micro_codec_codec_role_t role, const char *text, exports_micro_codec_codec_opened_t *opened) {
    component_list_u8_t data = bytes(text);
    return exports_micro_codec_codec_open(0, role, &data, opened, &err);
}

static bool is(const char *text, exports_micro_codec_codec_range_t range, const char *expected) {
    return range.length == strlen(expected) && memcmp(text + range.offset, expected, range.length) == 0;
}

static void what_was_sealed_is_opened(void) {
    const struct {
        exports_micro_codec_codec_role_t role;
        const char *id, *endpoint, *error;
    } heads[] = {
        {REQUEST, "", "", ""},
        {REQUEST, "17", "Say.Hello", ""},
        {RESPONSE, "17", "Say.Hello", "no such name"},
        {RESPONSE, "\xff\r", "\xc3\xbc", "\t"},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        exports_micro_codec_codec_enclosure_t sealed;
        CHECK(seal(heads[i].role, heads[i].id, heads[i].endpoint, heads[i].error, &sealed));
        char text[64];
        snprintf(text, sizeof text, "%.*s{\n}", (int)sealed.prefix.len, (char *)sealed.prefix.ptr);
        exports_micro_codec_codec_opened_t opened;
        CHECK(open(heads[i].role, text, &opened));
        CHECK(is(text, opened.id, heads[i].id) && is(text, opened.endpoint, heads[i].endpoint));
        CHECK(is(text, opened.error, heads[i].error) && is(text, opened.value, "{\n}") && opened.extra.len == 0);
    }
}

static void what_has_no_place_is_refused(void) {
    const struct {
        exports_micro_codec_codec_role_t role;
        const char *id, *endpoint, *error;
    } heads[] = {
        {REQUEST, "1\n", "", ""},
        {REQUEST, "", "a\nb", ""},
        {RESPONSE, "", "", "a\nb"},
        {REQUEST, "", "", "an error"},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        exports_micro_codec_codec_enclosure_t sealed;
        CHECK(!seal(heads[i].role, heads[i].id, heads[i].endpoint, heads[i].error, &sealed));
        CHECK(err == EXPORTS_MICRO_CODEC_CODEC_ERROR_UNSUPPORTED);
    }
}

static void other_bytes_are_malformed(void) {
    const char *wrong[] = {
        "",
        "lines/1",
        "lines/1\n1\na.b\n",
        "lines/2\n1\na.b\n\n{}",
        "1\na.b\n\n{}",
        "lines/1\r\n1\na.b\n\n{}",
        "lines/1\n1\n\xff\n\n{}",
        "lines/1\n1\na.b\n\xff\n{}",
        "lines/1\n1\n\xe0\x80\x80\n\n{}",
        "lines/1\n1\n\xc3\n\n{}",
    };
    exports_micro_codec_codec_opened_t opened;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(!open(RESPONSE, wrong[i], &opened) && err == EXPORTS_MICRO_CODEC_CODEC_ERROR_MALFORMED);
    }
    CHECK(!open(REQUEST, "lines/1\n1\na.b\nan error\n", &opened) && err == EXPORTS_MICRO_CODEC_CODEC_ERROR_MALFORMED);
}

int main(void) {
    what_was_sealed_is_opened();
    what_has_no_place_is_refused();
    other_bytes_are_malformed();
    puts("3 tests passed");
    return 0;
}
