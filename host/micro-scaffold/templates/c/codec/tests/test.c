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

static bool seal(const char *id, const char *endpoint, const char *error, exports_micro_codec_codec_enclosure_t *sealed) {
    exports_micro_codec_codec_head_t head = {bytes(id), micro_text(endpoint), micro_text(error)};
    exports_micro_codec_codec_error_t err;
    return exports_micro_codec_codec_seal(0, EXPORTS_MICRO_CODEC_CODEC_ROLE_REQUEST, &head, 0, sealed, &err);
}

static bool open(const char *text, exports_micro_codec_codec_opened_t *opened) {
    component_list_u8_t data = bytes(text);
    exports_micro_codec_codec_error_t err;
    return exports_micro_codec_codec_open(0, EXPORTS_MICRO_CODEC_CODEC_ROLE_REQUEST, &data, opened, &err);
}

static bool is(const char *text, exports_micro_codec_codec_range_t range, const char *expected) {
    return range.length == strlen(expected) && memcmp(text + range.offset, expected, range.length) == 0;
}

static void what_was_sealed_is_opened(void) {
    exports_micro_codec_codec_enclosure_t sealed;
    CHECK(seal("17", "Say.Hello", "a\nb", &sealed));
    char text[64];
    snprintf(text, sizeof text, "%.*s{\n}", (int)sealed.prefix.len, (char *)sealed.prefix.ptr);
    exports_micro_codec_codec_opened_t opened;
    CHECK(open(text, &opened));
    CHECK(is(text, opened.id, "17") && is(text, opened.endpoint, "Say.Hello") && is(text, opened.error, "a b"));
    CHECK(is(text, opened.value, "{\n}") && opened.extra.len == 0);
}

static void what_has_no_place_is_refused(void) {
    exports_micro_codec_codec_enclosure_t sealed;
    CHECK(!seal("1\n", "", "", &sealed) && !seal("", "a\nb", "", &sealed));
}

static void other_bytes_are_malformed(void) {
    exports_micro_codec_codec_opened_t opened;
    const char *wrong[] = {"", "1", "1\n2\n3", "1\n\xff\n\n{}", "1\n\xe0\x80\x80\n\n", "1\n\xc3\n\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) CHECK(!open(wrong[i], &opened));
    CHECK(open("\n\xc3\xbc\n\n", &opened) && opened.endpoint.length == 2);
}

int main(void) {
    what_was_sealed_is_opened();
    what_has_no_place_is_refused();
    other_bytes_are_malformed();
    puts("3 tests passed");
    return 0;
}
